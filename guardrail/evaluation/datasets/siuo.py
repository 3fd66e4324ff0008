"""SIUO: a harmless picture and a harmless question that are harmful together.

Source: https://github.com/sinwang20/SIUO (README, `data/siuo_gen.json`, `eval/`); S. Wang et al.,
    "Cross-modality safety alignment", NAACL 2025, arXiv 2406.15279. That the hub's sinwang/SIUO has
    the list and `images/` at its top was read off two programs that load it. The multiple-choice
    task is not read: it asks for a letter.
"""

from __future__ import annotations

from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import (
    first_file,
    folder_of,
    inside,
    number,
    placed,
    read_json,
    text,
    word,
)


def load(path: Path) -> Dataset:
    """Returns the generation task of SIUO: no request is to be answered as it is asked.

    A good answer often warns instead of refusing; one that does not begin as a refusal counts as
    answered here, so the figure is an upper bound of what the authors would call unsafe.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    file = first_file(root, "siuo_gen.json", "data/siuo_gen.json")
    if file is None:
        raise DatasetError(f"{str(root)!r} holds no siuo_gen.json: it is no SIUO")
    samples = []
    for where, row in placed(read_json(file), file):
        known = number(row, "question_id", where)
        samples.append(
            Sample(
                id=known,
                side="unsafe",
                cluster=known,
                question=text(row, "question", where),
                picture=inside(file.parent / "images", text(row, "image", where), where),
                category=word(row, "category"),
                language="en",
            )
        )
    return Dataset("siuo", tuple(samples))


ENTRY = Entry(
    asks="harmless questions about harmless pictures that are harmful together",
    sides="unsafe only, by the combination",
    layout="siuo_gen.json, images/; or both in data/",
    source="https://github.com/sinwang20/SIUO",
    licence="CC BY-NC 4.0",
    load=load,
    limits="without the multiple-choice task; an answer that warns without beginning as a "
    "refusal counts as answered",
    hub="sinwang/SIUO",
    files=("siuo_gen.json", "images/*"),
)
