"""Requests whose answers turn: harmless, about pictures in which some of what can be said is not.

Where an answer turns is told by phrases, for which the embedded model's world is small enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets import shipped
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import (
    Row,
    folder_of,
    inside,
    number,
    placed,
    read_json,
    text,
    texts,
    word,
)

MAX_TOKENS = 160


def load(path: Path) -> Dataset:
    """Returns the requests of `turning.json`.

    Expected is a list of rows, each with `id`, `request`, `image_path` and `harmful_phrases`: what
    an answer that helps with something harmful says, with the categories of harm of each phrase.
    `kind`, `category` and `language` may be there.

    Raises:
        DatasetError: The file is missing, or is not laid out like that.
    """
    samples = tuple(_samples(folder_of(path)))
    return Dataset("turning", samples, max_tokens=MAX_TOKENS)


def _samples(root: Path) -> Iterator[Sample]:
    file = root / "turning.json"
    for where, row in placed(read_json(file), file):
        name = number(row, "id", where)
        yield Sample(
            id=name,
            side="turning",
            cluster=name,
            question=text(row, "request", where),
            picture=inside(root, text(row, "image_path", where), where),
            category=word(row, "category"),
            wording=word(row, "kind"),
            language=word(row, "language") or "en",
            harmful=_harmful(row, where),
        )


def _harmful(row: Row, where: str) -> dict[str, tuple[str, ...]]:
    found = row.get("harmful_phrases")
    if not isinstance(found, Mapping) or not found:
        raise DatasetError(f"{where} has harmful_phrases {found!r}, expected a map of phrases")
    return {phrase: texts(found, phrase, f"{where}: harmful_phrases") for phrase in found}


ENTRY = Entry(
    asks="a harmless request that is answered at length, about a picture with a danger in it",
    sides="turning: to be answered, as long as the answer does not turn to what is harmful",
    layout="turning.json, pictures/",
    source=f"{shipped.SOURCE}/heldout",
    licence=shipped.LICENCE,
    load=load,
    shipped=shipped.heldout,
)
