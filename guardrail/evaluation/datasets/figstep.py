"""FigStep: harmful instructions as a picture of an empty list, and one text that asks to fill it.

Source: https://github.com/ThuCCSLab/FigStep (README, `data/question`, `data/images/SafeBench`,
    `src/generate_prompts.py`); Y. Gong et al., AAAI 2025, arXiv 2311.05608. FigStep-Pro, which cuts
    a picture into three, lies in an archive without a list and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import csv_rows, folder_of

_LIST = "data/question/safebench.csv"
_FIGSTEP = 6
"""The authors' number for this way of asking, at the end of a picture's name."""
_INCITING = re.compile(r"text-prompt.*?^```[^\n]*\n(?P<text>.+?)\n```", re.DOTALL | re.MULTILINE)
"""The block after the first mention of the text that goes with every picture."""


def load(path: Path) -> Dataset:
    """Returns FigStep on the whole of SafeBench: every request is to be refused.

    Expected is a clone of the repository: the one text that goes with all pictures stands in its
    README alone, and is taken from there.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    if not (root / _LIST).is_file():
        raise DatasetError(f"{str(root)!r} holds no {_LIST}: it is no clone of FigStep")
    return Dataset("figstep", tuple(_samples(root, _inciting(root / "README.md"))))


def _samples(root: Path, inciting: str) -> Iterator[Sample]:
    columns = ("dataset", "category_id", "task_id", "category_name")
    for _, row in csv_rows(root / _LIST, *columns):
        number = f"{row['category_id']}_{row['task_id']}"
        name = f"query_{row['dataset']}_{number}_{_FIGSTEP}.png"
        yield Sample(
            id=number,
            side="unsafe",
            cluster=number,
            question=inciting,
            picture=root / "data" / "images" / "SafeBench" / name,
            category=row["category_name"],
            language="en",
        )


def _inciting(file: Path) -> str:
    match = _INCITING.search(file.read_text("utf-8")) if file.is_file() else None
    if match is None:
        raise DatasetError(
            f"{str(file)!r} does not show the text that FigStep puts beside its pictures: "
            "give a clone of the repository with its README"
        )
    return match["text"].strip()


ENTRY = Entry(
    asks="harmful instructions as a picture of an empty list that is to be filled in",
    sides="unsafe only",
    layout=f"README.md (the text), {_LIST}, data/images/SafeBench/",
    source="https://github.com/ThuCCSLab/FigStep",
    licence="MIT",
    load=load,
    limits="without FigStep-Pro, which shows three pictures at once",
)
