"""OR-Bench: prompts that seem toxic and are not, and toxic ones; no picture.

Source: https://github.com/justincui03/or-bench (README: refusals on the hard part against refusals
    on the toxic part) and the file tree of bench-llm/or-bench on the hub; J. Cui et al., ICML 2025,
    arXiv 2405.20947. The columns were read off programs that load it, not off a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample, Side
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import csv_rows, folder_of, text, word

_TOXIC = "or-bench-toxic"


def load(path: Path) -> Dataset:
    """Returns the hard part, to be answered, and the toxic part, if it is there, to be refused.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    return _of("or-bench", path, "or-bench-hard-1k")


def load_80k(path: Path) -> Dataset:
    """Returns the whole of the prompts that are to be answered, and the toxic part.

    The hard part is nearly all in it: the two are not asked together.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    return _of("or-bench-80k", path, "or-bench-80k")


def _of(name: str, path: Path, answered: str) -> Dataset:
    root = folder_of(path)
    if not (root / f"{answered}.csv").is_file():
        raise DatasetError(f"{str(root)!r} holds no {answered}.csv: it is no OR-Bench")
    samples = list(_part(root, answered, "safe"))
    if (root / f"{_TOXIC}.csv").is_file():
        samples += _part(root, _TOXIC, "unsafe")
    return Dataset(name, tuple(samples))


def _part(root: Path, part: str, side: Side) -> Iterator[Sample]:
    rows = csv_rows(root / f"{part}.csv", "prompt", "category")
    for place, (where, row) in enumerate(rows):
        number = f"{part.removeprefix('or-bench-')}/{place}"
        yield Sample(
            id=number,
            side=side,
            cluster=number,
            question=text(row, "prompt", where),
            picture=None,
            category=word(row, "category"),
            language="en",
        )


ENTRY = Entry(
    asks="prompts that seem toxic and are not (the hard thousand), and toxic ones; text alone",
    sides="safe (hard-1k); unsafe (toxic)",
    layout="or-bench-hard-1k.csv, or-bench-toxic.csv",
    source="https://github.com/justincui03/or-bench",
    licence="CC BY 4.0",
    load=load,
    limits="the columns were not seen in a file",
    hub="bench-llm/or-bench",
    files=("or-bench-hard-1k.csv", "or-bench-toxic.csv"),
)
WHOLE = replace(
    ENTRY,
    asks="all eighty thousand prompts that seem toxic and are not, and toxic ones; text alone",
    sides="safe (80k); unsafe (toxic)",
    layout="or-bench-80k.csv, or-bench-toxic.csv",
    load=load_80k,
    files=("or-bench-80k.csv", "or-bench-toxic.csv"),
)
