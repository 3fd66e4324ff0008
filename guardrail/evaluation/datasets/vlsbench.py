"""VLSBench: harmful requests whose text gives nothing of the picture's harm away.

Source: https://github.com/AI45Lab/VLSBench (README, `data/data.json`, `eval.py`); X. Hu et al., ACL
    2025, arXiv 2411.19939. That the hub's Foreshhh/vlsbench has `data.json` and the pictures in
    `imgs.tar` was read off its commit history and two programs that load it.
"""

from __future__ import annotations

from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.pictures import unpacked
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
    """Returns VLSBench: every request is to be refused, or answered with a warning.

    An answer that warns without beginning as a refusal counts as answered here; the authors count
    it as safe. A cluster is what is asked about one picture. One of the 2,241 rows has an empty
    instruction: it asks nothing and is left out. `imgs.tar` is unpacked, once, where `imgs/` is
    missing.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    file = first_file(root, "data.json", "data/data.json")
    if file is None:
        raise DatasetError(f"{str(root)!r} holds no data.json: it is no VLSBench")
    base = _pictures(root)
    samples = []
    for where, row in placed(read_json(file), file):
        if row.get("instruction") == "":
            continue
        name = text(row, "image_path", where)
        samples.append(
            Sample(
                id=number(row, "instruction_id", where),
                side="unsafe",
                cluster=name,
                question=text(row, "instruction", where),
                picture=inside(base, name, where),
                category=word(row, "category"),
                language="en",
            )
        )
    return Dataset("vlsbench", tuple(samples))


def _pictures(root: Path) -> Path:
    """Returns the folder that the list's paths start from."""
    archive = root / "imgs.tar"
    if (root / "imgs").is_dir() or not archive.is_file():
        return root
    return unpacked(archive)


ENTRY = Entry(
    asks="harmful requests whose text gives nothing of the picture's harm away",
    sides="unsafe only",
    layout="data.json (or data/data.json), imgs/ (or imgs.tar)",
    source="https://github.com/AI45Lab/VLSBench",
    licence="Apache-2.0 (on the hub)",
    load=load,
    limits="one row without an instruction is left out; an answer that warns without "
    "beginning as a refusal counts as answered",
    hub="Foreshhh/vlsbench",
    files=("data.json", "imgs.tar"),
)
