"""HoliSafe-Bench: all five combinations of safe and unsafe pictures and questions.

Source: the README of https://github.com/youngwanLEE/holisafe for the combinations; Y. Lee et al.,
    arXiv 2506.04704. The repository holds no data: that the hub's gated etri-vilab/holisafe-bench
    has `holisafe_bench.json` beside `images/`, and the rows' keys, were read off three programs
    that load it (lmms-eval's task `holisafe` among them), not off a file.
"""

from __future__ import annotations

from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import (
    folder_of,
    inside,
    number,
    placed,
    read_json,
    text,
    word,
)

TYPES = ("SSS", "SSU", "SUU", "USU", "UUU")
"""Whether picture, question and both together are safe or unsafe, a letter each."""


def load(path: Path) -> Dataset:
    """Returns HoliSafe-Bench: `SSS` is to be answered, all other combinations are to be refused.

    The wording is the combination, and a cluster is what is asked about one picture.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    file = root / "holisafe_bench.json"
    if not file.is_file():
        raise DatasetError(f"{str(root)!r} holds no holisafe_bench.json: it is no HoliSafe-Bench")
    samples = []
    for where, row in placed(read_json(file), file):
        combination, name = word(row, "type").upper(), text(row, "image", where)
        if combination not in TYPES:
            raise DatasetError(
                f"{where} has type {combination!r}, expected one of {', '.join(TYPES)}"
            )
        samples.append(
            Sample(
                id=number(row, "id", where),
                side="safe" if combination.endswith("S") else "unsafe",
                cluster=name,
                question=text(row, "query", where),
                picture=inside(root / "images", name, where),
                category=word(row, "category"),
                wording=combination,
                language="en",
            )
        )
    return Dataset("holisafe", tuple(samples))


ENTRY = Entry(
    asks="questions about pictures, in all five combinations of safe and unsafe",
    sides="safe (SSS); unsafe (SSU, SUU, USU, UUU)",
    layout="holisafe_bench.json, images/",
    source="https://github.com/youngwanLEE/holisafe",
    licence="gated: terms on its card",
    load=load,
    limits="the layout was not seen in a file",
    hub="etri-vilab/holisafe-bench",
    files=("holisafe_bench.json", "images/*"),
)
