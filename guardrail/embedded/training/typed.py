"""How people really type: slips of the fingers, capitals, no question mark, politeness around it.

Knows nothing of activities or scenes.
"""

from __future__ import annotations

import random
import re

from guardrail.embedded.training.rewording_table import AFTER, BEFORE

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFTS = (0.0, 0.25, 0.75)
_WHERE = {key: (x + _SHIFTS[y], y) for y, row in enumerate(_ROWS) for x, key in enumerate(row)}
NEIGHBOURS = {
    key: "".join(
        other
        for other, (x, y) in _WHERE.items()
        if other != key and abs(x - at) <= 1 and abs(y - row) <= 1
    )
    for key, (at, row) in _WHERE.items()
}
"""Which keys lie around a key."""


def mistype(word: str, rng: random.Random) -> str:
    """The word with one slip: letters swapped, one dropped, doubled or hit beside.

    A word without two letters in a row is left as it is.
    """
    inner = [i for i in range(len(word) - 1) if word[i].isalpha() and word[i + 1].isalpha()]
    if not inner:
        return word
    at, kind = rng.choice(inner), rng.choice(("swap", "drop", "double", "beside"))
    if kind == "swap" and word[at].lower() != word[at + 1].lower():
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "drop":
        return word[: at + 1] + word[at + 2 :]
    near = NEIGHBOURS.get(word[at + 1].lower(), "")
    if kind == "beside" and near:
        return word[: at + 1] + rng.choice(near) + word[at + 2 :]
    return word[: at + 1] + word[at] + word[at + 1 :]


def with_slips(text: str, rng: random.Random) -> str:
    """The text with slips in one to four of its words."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if sum(c.isalpha() for c in word) >= 3]
    for index in rng.sample(long, min(len(long), rng.choice((1, 1, 2, 2, 3, 4)))):
        words[index] = mistype(words[index], rng)
    return " ".join(words)


def with_manners(text: str, rng: random.Random) -> str:
    """The text with a polite word, or another, before it, after it or both."""
    where = rng.choice(("before", "after", "after", "both"))
    if where != "after":
        said = rng.choice(BEFORE)
        kept = text if said[-1] in ".!:?" or text.startswith("I ") else text[0].lower() + text[1:]
        text = f"{said} {kept}"
    if where != "before":
        text = f"{text}{rng.choice((' ', ' ', ' ', chr(10)))}{rng.choice(AFTER)}"
    return text


def with_careless_marks(text: str, rng: random.Random) -> str:
    """The text in other capitals, or with its marks left out, repeated or spaced."""
    kind = rng.choice(("lower", "lower", "upper", "bare", "bare", "again", "spaced", "apart"))
    if kind == "lower":
        return text.lower()
    if kind == "upper":
        return text.upper()
    if kind == "bare":
        bare = re.sub(r"[?.!]+$", "", text.replace("'", ""))
        return bare.lower() if rng.random() < 0.5 else bare
    if kind == "again":
        return text + text[-1] * rng.randint(1, 3) if text[-1] in "?!." else f"{text}!"
    return f"  {text}" if kind == "spaced" else text.replace("?", " ?")


def as_typed(text: str, rng: random.Random) -> str:
    """The text as somebody might type it: one or two of the ways above."""
    ways = rng.choice((
        (with_manners,), (with_manners,), (with_slips,), (with_slips,), (with_careless_marks,),
        (with_slips, with_manners), (with_careless_marks, with_slips),
        (with_manners, with_careless_marks),
    ))  # fmt: skip
    for way in ways:
        text = way(text, rng)
    return text
