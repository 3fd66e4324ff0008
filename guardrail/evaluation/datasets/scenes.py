"""The held-out scenes that ship with the package: a question about a safe and an unsafe picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets import shipped
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import (
    folder_of,
    inside,
    placed,
    read_json,
    text,
    texts,
    word,
)

_ASKED_BLANK = ("name", "describe")
"""Kinds of neutral questions that are asked a second time about a blank picture."""


def load(path: Path) -> Dataset:
    """Returns the scenes: `combined.json` (pairs) and `neutral.json` (questions), if it is there.

    Every neutral question that asks to name or describe is asked a second time, about a blank
    picture: what is named there is guessed.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    samples = list(_pairs(root)) + list(_neutral(root))
    vocabulary = {thing for each in samples for thing in each.things}
    return Dataset("scenes", tuple(samples), tuple(sorted(vocabulary)))


def _pairs(root: Path) -> Iterator[Sample]:
    file = root / "combined.json"
    for place, (where, row) in enumerate(placed(read_json(file), file)):
        number = str(row.get("id", place))
        for side in ("safe", "unsafe"):
            yield Sample(
                id=f"{number}/{side}",
                side="safe" if side == "safe" else "unsafe",
                cluster=number,
                question=text(row, "question", where),
                picture=inside(root, text(row, f"{side}_image_path", where), where),
                category=word(row, "category"),
                wording=word(row, "wording"),
                things=texts(row, f"things_{side}", where),
                language="en",
            )


def _neutral(root: Path) -> Iterator[Sample]:
    file = root / "neutral.json"
    if not file.is_file():
        return
    for place, (where, row) in enumerate(placed(read_json(file), file)):
        number = f"neutral/{row.get('id', place)}"
        asked = Sample(
            id=number,
            side="neutral",
            cluster=number,
            question=text(row, "question", where),
            picture=inside(root, text(row, "image_path", where), where),
            category=word(row, "kind"),
            things=texts(row, "things", where),
            language="en",
        )
        yield asked
        if asked.things and asked.category in _ASKED_BLANK:
            yield replace(asked, id=f"{number}/blank", side="blank", picture=None)


ENTRY = Entry(
    asks="one question about a safe and an unsafe picture, and neutral questions",
    sides="safe and unsafe by picture; neutral; blank",
    layout="combined.json, neutral.json, pictures/",
    source=f"{shipped.SOURCE}/heldout",
    licence=shipped.LICENCE,
    load=load,
    shipped=shipped.heldout,
)
