"""Other wordings of an activity's questions, for training; and those kept out of it.

What is kept out: the held-out rewordings, the misspelt and the polite questions of the evaluation,
and all of the unseen set's. Knows nothing of scenes or answers.
"""

from __future__ import annotations

import hashlib
import random
import re
from functools import lru_cache

from guardrail.embedded.training.rewording_table import (
    FRAMES,
    HELD_OUT,
    PHRASES,
    POLITE_HELD_OUT,
    WHOLE,
)
from guardrail.embedded.training.typed import as_typed, with_slips
from guardrail.embedded.training.unseen import ask, misspell
from guardrail.embedded.training.unseen_table import FAMILIES, PAIRS_PER_FAMILY
from guardrail.embedded.training.world import Activity, activities

REWORDED, TYPED = 0.45, 0.4
"""How often a question is put in other words; how often it, whichever, is typed carelessly."""
WHOLE_SHARE = 0.12
MISSPELT = 4
"""Misspelt copies of each question of the table that are kept out of training."""
_DOUBLED = frozenset((
    "chop", "cut", "dig", "get", "hit", "hug", "jog", "knot", "let", "put", "rob", "run", "set",
    "sit", "slap", "snap", "split", "stop", "swim", "trim", "unwrap", "wrap",
))  # fmt: skip
_IRREGULAR = {"be": "being", "lie": "lying", "tie": "tying"}


def doing(phrase: str) -> str:
    """A verb phrase with its verb in -ing."""
    verb, _, rest = phrase.partition(" ")
    mute = verb.endswith("e") and not verb.endswith("ee")
    stem = verb[:-1] if mute else verb + verb[-1] * (verb in _DOUBLED)
    return f"{_IRREGULAR.get(verb, stem + 'ing')} {rest}".strip()


def plain(text: str) -> str:
    """A text's words alone, by which two wordings are held to be the same."""
    return " ".join(re.findall(r"\w+", text.lower().replace("'", "")))


def rewordings(key: str) -> tuple[str, ...]:
    """All training questions of an activity in other words."""
    phrases = PHRASES[key].split("|")
    made = (frame.format(do=p, doing=doing(p)) for p in phrases for frame in FRAMES)
    return (*made, *WHOLE[key])


def misspelt(question: str, number: int) -> str:
    """One of the misspelt copies of a question that are kept out of training."""
    return misspell(question, random.Random(f"misspelt/{number % MISSPELT}/{question}"))


def politely(question: str, number: int) -> str:
    """A question between polite words that are kept out of training."""
    before, after = POLITE_HELD_OUT[number % len(POLITE_HELD_OUT)]
    return f"{before} {question} {after}".strip()


@lru_cache(maxsize=1)
def kept_out() -> frozenset[str]:
    """What no training question may be, as `plain` writes it."""
    asked = [text for texts in HELD_OUT.values() for text in texts]
    for activity in activities().values():
        for question in activity.questions:
            asked += [misspelt(question, number) for number in range(MISSPELT)]
            asked += [politely(question, number) for number in range(len(POLITE_HELD_OUT))]
    for family in FAMILIES:
        for number in range(PAIRS_PER_FAMILY[family.alarming]):
            asked += [text for wording, _, text in ask(family, number) if wording != "plain"]
    trained = {plain(text) for each in activities().values() for text in each.questions}
    return frozenset(map(plain, asked)) - trained


def base_of(activity: Activity, wording: str) -> str:
    """The question of the table that a wording is answered as: always the same one."""
    digest = hashlib.sha256(wording.encode()).digest()
    return activity.questions[digest[0] % len(activity.questions)]


def question_of(activity: Activity, rng: random.Random, *, slips: float = 0.0) -> tuple[str, str]:
    """A question about an activity as somebody might put and type it.

    Args:
        activity: What it is about.
        rng: Random source.
        slips: How often there are slips of the fingers in it beside what else is careless.

    Returns:
        The question, and the one of the table whose answer it gets. Neither words nor slips change
        how a request is answered: that goes by the table's question.
    """
    while True:
        base = rng.choice(activity.questions)
        text = base
        if rng.random() < REWORDED:
            if rng.random() < WHOLE_SHARE:
                text = rng.choice(WHOLE[activity.key])
            else:
                phrase = rng.choice(PHRASES[activity.key].split("|"))
                text = rng.choice(FRAMES).format(do=phrase, doing=doing(phrase))
            base = base_of(activity, text)
        if rng.random() < TYPED:
            text = as_typed(text, rng)
        if slips and rng.random() < slips:
            text = with_slips(text, rng)
        if plain(text) not in kept_out():
            return text, base
