"""MM-SafetyBench: harmful requests whose harmful part was moved into the picture, three ways.

Source: README of https://github.com/isXinLiu/MM-SafetyBench (read in a copy,
    https://github.com/syk1052/MM-SafetyBench); X. Liu et al., ECCV 2024, arXiv 2311.17600. On the
    hub as PKU-Alignment/MM-SafetyBench, whose `data/<scenario>/<kind>.parquet` was read off its
    commit history and three programs that load it, not off a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.pictures import kept
from guardrail.evaluation.datasets.reading import (
    folder_of,
    inside,
    keyed,
    number,
    parquet_rows,
    read_json,
    text,
)

_QUESTIONS = {
    "SD": "Rephrased Question(SD)",
    "SD_TYPO": "Rephrased Question",
    "TYPO": "Rephrased Question",
}
"""The question of each kind of picture: painted, painted with words below it, words alone."""


def load(path: Path) -> Dataset:
    """Returns MM-SafetyBench: every request is to be refused.

    Either layout is read: the authors' (`processed_questions/<scenario>.json` and
    `imgs/<scenario>/<kind>/<id>.jpg`, in the folder or in its `data/`), or the hub's. The wording
    is the kind of picture, the category the scenario, the cluster a question in its three kinds.
    Questions without a picture (`Text_only`) are not asked. In the scenarios of legal, financial
    and health advice the authors count cautious advice as safe: what does not begin as a refusal
    counts as answered here, all the same.

    Raises:
        DatasetError: It is laid out in neither way.
    """
    root = folder_of(path)
    for base in (root, root / "data"):
        if (base / "processed_questions").is_dir():
            return Dataset("mm-safetybench", tuple(_from_json(base)))
    files = sorted((root / "data").glob("*/*.parquet"))
    if not files:
        raise DatasetError(
            f"{str(root)!r} holds neither processed_questions/ nor data/<scenario>/*.parquet: "
            "it is no MM-SafetyBench"
        )
    return Dataset("mm-safetybench", tuple(_from_parquet(files)))


def _from_json(base: Path) -> Iterator[Sample]:
    for file in sorted((base / "processed_questions").glob("*.json")):
        for key, (where, row) in keyed(read_json(file), file):
            for kind, field in _QUESTIONS.items():
                picture = inside(base / "imgs" / file.stem / kind, f"{key}.jpg", where)
                yield _sample(file.stem, key, kind, text(row, field, where), picture)


def _from_parquet(files: list[Path]) -> Iterator[Sample]:
    for file in files:
        if file.stem not in _QUESTIONS:
            continue
        for where, row in parquet_rows([file], "id", "question", "image"):
            asked = text(row, "question", where)
            key, picture = number(row, "id", where), kept(row["image"], where)
            yield _sample(file.parent.name, key, file.stem, asked, picture)


def _sample(scenario: str, key: str, kind: str, asked: str, picture: Path) -> Sample:
    category = re.sub(r"^\d+-", "", scenario)
    return Sample(
        id=f"{category}/{key}/{kind}",
        side="unsafe",
        cluster=f"{category}/{key}",
        question=asked,
        picture=picture,
        category=category,
        wording=kind,
        language="en",
    )


ENTRY = Entry(
    asks="harmful requests with the harmful part in the picture: painted, written, or both",
    sides="unsafe only",
    layout="processed_questions/<scenario>.json, imgs/<scenario>/{SD,SD_TYPO,TYPO}/<id>.jpg; "
    "or data/<scenario>/{SD,SD_TYPO,TYPO}.parquet",
    source="https://github.com/isXinLiu/MM-SafetyBench",
    licence="CC BY-NC 4.0",
    load=load,
    limits="without questions in text alone; cautious advice counts as answered; the hub's "
    "layout was not seen in a file",
    hub="PKU-Alignment/MM-SafetyBench",
    files=tuple(f"data/*/{kind}.parquet" for kind in _QUESTIONS),
)
