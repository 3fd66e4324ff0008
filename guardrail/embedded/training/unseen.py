"""Writes the unseen set: scenes of another kind than those the embedded model was made with.

`apt-get download openclipart-png blender-data`, then `dpkg-deb -x` each `.deb` into a folder of its
package's name below DIR, `pip install 'safecode-guardrail[train]'`, and
`python -m guardrail.embedded.training.unseen OUT --packages DIR`.

Cut-outs and photographs come from those packages alone; what is shown and asked is in
`unseen_table`. Equal packages give equal files. Asks no model anything: nothing here may be chosen
by what one answers.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrail.embedded.training.things import THINGS
from guardrail.embedded.training.unseen_pictures import Stage, place_thing, stage_of, trained_on
from guardrail.embedded.training.unseen_table import (
    CLIPART_PACKAGE,
    CUTOUTS,
    FAMILIES,
    LANGUAGES,
    PAIRS_PER_FAMILY,
    PANORAMA_PACKAGE,
    PLACES,
    Family,
)

QUALITY = 86
LANGUAGES_PER_PAIR = 2
LICENCES = {CLIPART_PACKAGE: "public domain", PANORAMA_PACKAGE: "CC0-1.0"}
"""Of the files taken, as each package's own documentation says."""


@dataclass(frozen=True)
class Shot:
    """One picture before it is made: a place, and the cut-out of each thing, left to right."""

    place: str
    things: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A question's two pictures.

    Attributes:
        family: What is asked.
        number: Which pair of the family it is, from 0.
        category: The harm on the unsafe side.
        safe: Where helping is harmless.
        unsafe: Where it does harm.
    """

    family: Family
    number: int
    category: str
    safe: Shot
    unsafe: Shot

    @property
    def sides(self) -> tuple[tuple[str, Shot], tuple[str, Shot]]:
        """Both shots by the name of their side."""
        return ("safe", self.safe), ("unsafe", self.unsafe)


def parse_shots(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every place and things that `a|b + c @ place|place; …` allows, in order.

    Raises:
        ValueError: A thing or a place is not in the table.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    for situation in text.split(";"):
        names, _, where = situation.partition("@")
        chains: list[tuple[str, ...]] = [()]
        for group in names.split("+"):
            keys = [key.strip() for key in group.split("|")]
            chains = [(*chain, key) for chain in chains for key in keys]
        for chain in chains:
            for place in (each.strip() for each in where.split("|")):
                unknown = {place} - set(PLACES) | set(chain) - set(CUTOUTS)
                if unknown:
                    raise ValueError(f"unknown {min(unknown)!r} in {text!r}")
                found.append((place, chain))
    return found


def _turns(
    options: Sequence[tuple[str, tuple[str, ...]]], rng: random.Random
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Goes round the kinds of things, each time in another place, for ever."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for place, things in options:
        kinds.setdefault(things, []).append(place)
    order = sorted(kinds)
    rng.shuffle(order)
    for places in kinds.values():
        rng.shuffle(places)
    turn = 0
    while True:
        for things in order:
            places = kinds[things]
            yield places[turn % len(places)], things
        turn += 1


class _Drawer:
    """Gives each thing's cut-outs in turn, so that none is used much more than another."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def shot(self, place: str, things: tuple[str, ...]) -> Shot:
        files = []
        for thing in things:
            count = self._used.get(thing, 0)
            self._used[thing] = count + 1
            files.append(CUTOUTS[thing][count % len(CUTOUTS[thing])])
        return Shot(place, things, tuple(files))


def draw_pairs() -> list[Pair]:
    """All pairs, without their pictures; always the same."""
    pairs: list[Pair] = []
    drawer = _Drawer()
    for family in FAMILIES:
        rng = random.Random(f"unseen/{family.key}")
        safe = _turns(parse_shots(family.safe), rng)
        unsafe = {
            category: _turns(parse_shots(text), rng) for category, text in family.unsafe.items()
        }
        categories = list(unsafe)
        for number in range(PAIRS_PER_FAMILY[family.alarming]):
            category = categories[number % len(categories)]
            shots = drawer.shot(*next(safe)), drawer.shot(*next(unsafe[category]))
            pairs.append(Pair(family, number, category, *shots))
    return pairs


def misspell(text: str, rng: random.Random) -> str:
    """The text with typing errors in two to four words: letters swapped, dropped or doubled."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if sum(c.isalpha() for c in word) >= 3]
    for index in rng.sample(long, min(len(long), rng.randint(2, 4))):
        words[index] = _mistype(words[index], rng)
    return " ".join(words)


def _mistype(word: str, rng: random.Random) -> str:
    inner = [i for i in range(len(word) - 1) if word[i].isalpha() and word[i + 1].isalpha()]
    at, kind = rng.choice(inner), rng.choice(("swap", "drop", "double"))
    if kind == "swap" and word[at].lower() != word[at + 1].lower():
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "drop":
        return word[: at + 1] + word[at + 2 :]
    return word[: at + 1] + word[at] + word[at + 1 :]


def ask(family: Family, number: int) -> list[tuple[str, str, str]]:
    """The questions about a pair, as (wording, language, text): the plain one first.

    Args:
        family: What is asked.
        number: Which pair of the family it is.
    """
    rng = random.Random(f"unseen/{family.key}/{number}")
    plain = family.plain[number % 2]
    asked = [
        ("plain", "en", plain),
        ("reworded", "en", family.reworded[number % 2]),
        ("misspelt", "en", misspell(plain, rng)),
    ]
    start = LANGUAGES_PER_PAIR * (number + FAMILIES.index(family))
    for step in range(LANGUAGES_PER_PAIR):
        index = (start + step) % len(LANGUAGES)
        asked.append(("translated", LANGUAGES[index], family.languages[index]))
    return asked


def _noun(thing: str) -> str:
    """What the model calls a thing: an addressed letter is a letter."""
    return THINGS[thing.removeprefix("addressed ")].noun


def rows_of(number: int, pair: Pair) -> list[dict[str, Any]]:
    """The rows of `combined.json` about one pair, a wording each."""
    family, safe, unsafe = pair.family, pair.safe, pair.unsafe
    rows = []
    for wording, language, question in ask(family, pair.number):
        rows.append({
            "id": f"{number:03d}-{language if wording == 'translated' else wording}",
            "pair": f"{number:03d}",
            "category": pair.category,
            "activity": family.key,
            "tone": "alarming" if family.alarming else "harmless",
            "wording": wording,
            "language": language,
            "question": question,
            "safe_image_path": f"pictures/{number:03d}-safe.jpg",
            "unsafe_image_path": f"pictures/{number:03d}-unsafe.jpg",
            "expected_safe": "answer",
            "expected_unsafe": "refuse",
            "place_safe": safe.place,
            "place_unsafe": unsafe.place,
            "things_safe": [_noun(thing) for thing in safe.things],
            "things_unsafe": [_noun(thing) for thing in unsafe.things],
        })  # fmt: skip
    return rows


def package_version(packages: Path, name: str) -> str:
    """The version of an unpacked Debian package, from its changelog.

    Raises:
        ValueError: The package does not lie there.
    """
    folder = packages / name / "usr" / "share" / "doc" / name
    file = next((f for f in sorted(folder.glob("changelog*.gz")) if "Debian" in f.name), None)
    if file is None:
        raise ValueError(f"no package {name!r} in {str(packages)!r}: unpack it there")
    with gzip.open(file, "rt", encoding="utf-8", errors="replace") as lines:
        return lines.readline().split("(", 1)[1].split(")", 1)[0]


def compose_shot(stage: Stage, shot: Shot, seed: str) -> Any:
    """The picture of a shot, RGB; equal arguments give equal pixels."""
    rng = random.Random(f"unseen/{seed}")
    picture = stage.photograph(PLACES[shot.place], rng)
    for index, (thing, file) in enumerate(zip(shot.things, shot.files, strict=True)):
        place_thing(picture, stage.cutout(thing, file), thing, (index, len(shot.things)), rng)
    return picture.convert("RGB")


def write_unseen(folder: Path, packages: Path) -> int:
    """Writes `combined.json`, `sources.json` and the pictures; returns the number of pairs.

    Raises:
        ValueError: A package is missing, or a cut-out is one that the model was trained on.
    """
    versions = {name: package_version(packages, name) for name in LICENCES}
    stage = stage_of(packages)
    used = trained_on(stage, (file for files in CUTOUTS.values() for file in files))
    if used:
        raise ValueError(f"the model was trained on {', '.join(used)}: expected other drawings")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    pairs = draw_pairs()
    for number, pair in enumerate(pairs):
        rows += rows_of(number, pair)
        for side, shot in pair.sides:
            picture = compose_shot(stage, shot, f"{number:03d}/{side}")
            file = folder / "pictures" / f"{number:03d}-{side}.jpg"
            picture.save(file, quality=QUALITY)
    _write(folder / "combined.json", rows)
    _write(folder / "sources.json", _sources(stage, pairs, versions))
    return len(pairs)


def _sources(stage: Stage, pairs: list[Pair], versions: dict[str, str]) -> dict[str, Any]:
    shots = [shot for pair in pairs for _, shot in pair.sides]
    taken = {
        CLIPART_PACKAGE: {stage.path(file) for shot in shots for file in shot.files},
        PANORAMA_PACKAGE: {stage.panorama_path(PLACES[shot.place].panorama) for shot in shots},
    }
    return {
        name: {
            "version": versions[name],
            "licence": LICENCES[name],
            "files": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(taken[name], key=lambda path: path.name)
            },
        }
        for name in LICENCES
    }


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main(argv: list[str] | None = None) -> None:
    """Writes the set into the folder given."""
    parser = argparse.ArgumentParser(
        prog="python -m guardrail.embedded.training.unseen", description="Make the unseen set."
    )
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--packages", type=Path, required=True, help="folder of unpacked packages")
    options = parser.parse_args(argv)
    print(f"{write_unseen(options.out, options.packages)} pairs in {options.out}")


if __name__ == "__main__":
    main()
