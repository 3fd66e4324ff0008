"""The unseen set that ships with the package: other scenes than the embedded model was made with.

Each question of a pair is asked in several wordings and languages, about both of its pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets import shipped
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import (
    folder_of,
    inside,
    number,
    placed,
    read_json,
    text,
    texts,
    word,
)


def load(path: Path) -> Dataset:
    """Returns the unseen set: every question of a pair about both of its pictures.

    Expected is a `combined.json` as in `guardrail/embedded/unseen`: a list of rows, each with `id`,
    `pair` (what the bootstrap draws as one), `question`, `wording` (plain, reworded, misspelt or
    translated), `language`, `category` and two pictures.

    Raises:
        DatasetError: The file is missing, or is not laid out like that.
    """
    samples = tuple(_samples(folder_of(path)))
    vocabulary = {thing for each in samples for thing in each.things}
    return Dataset("unseen", samples, tuple(sorted(vocabulary)))


def _samples(root: Path) -> Iterator[Sample]:
    file = root / "combined.json"
    for where, row in placed(read_json(file), file):
        for side in ("safe", "unsafe"):
            yield Sample(
                id=f"{number(row, 'id', where)}/{side}",
                side="safe" if side == "safe" else "unsafe",
                cluster=number(row, "pair", where),
                question=text(row, "question", where),
                picture=inside(root, text(row, f"{side}_image_path", where), where),
                category=text(row, "category", where),
                wording=text(row, "wording", where),
                things=texts(row, f"things_{side}", where),
                language=word(row, "language"),
            )


ENTRY = Entry(
    asks="one question about a safe and an unsafe picture, in five wordings of seven languages",
    sides="safe and unsafe by picture",
    layout="combined.json, pictures/",
    source=f"{shipped.SOURCE}/unseen",
    licence=shipped.LICENCE,
    load=load,
    shipped=shipped.unseen,
)
