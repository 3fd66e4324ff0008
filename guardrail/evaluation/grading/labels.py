"""Labels by hand: a JSON Lines file that is written for a person to fill in, and read again.

A line is `{"system", "sample", "refused", "by"}`: what a person says of a system's answer to a
sample. A line that was written here also holds the question, the answer, what the graders said, and
in `also` the other systems that gave the same answer, for which the label holds as well. Where a
line holds the answer, it counts only as long as that is the answer. A line whose `refused` is null
is yet to be filled in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.grading.outcomes import Key, Outcomes, is_settled
from guardrail.evaluation.outfile import write_whole
from guardrail.evaluation.results import Record, Results

FIELDS = frozenset({"system", "sample", "refused", "by", "question", "answer", "grades", "also"})


@dataclass(frozen=True)
class HandLabel:
    """One person's word on one answer.

    Attributes:
        by: Who says so.
        answer: What was labelled; None where the line does not say.
    """

    refused: bool
    by: str
    answer: str | None


@dataclass(frozen=True)
class HandLabels:
    """The labels of a file, by system and sample."""

    labels: Mapping[Key, HandLabel] = field(default_factory=dict)

    def matching(self, results: Results) -> dict[Key, bool]:
        """Returns the labels of answers that are there, and still are what was labelled."""
        found = {}
        for key, label in self.labels.items():
            record = results.get(*key)
            if record is not None and label.answer in (None, record.answer):
                found[key] = label.refused
        return found


def read_labels(path: Path) -> HandLabels:
    """Returns the labels of a file.

    Raises:
        DatasetError: It cannot be read, a line is no label, or two lines contradict each other.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # an answer may hold other ends of lines
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"cannot read labels {str(path)!r}: {reason}") from error
    labels: dict[Key, HandLabel] = {}
    for number, line in enumerate(lines, 1):
        where = f"line {number} of labels {str(path)!r}"
        if not line.strip():
            continue
        row = _row(line, where)
        if row["refused"] is None:
            continue
        label = HandLabel(row["refused"], row["by"], row.get("answer"))
        for system in (row["system"], *row.get("also", ())):
            key = (system, row["sample"])
            if key in labels and labels[key].refused != label.refused:
                raise DatasetError(
                    f"{where} contradicts an earlier one on sample {row['sample']!r} of system "
                    f"{system!r}: leave one of them"
                )
            labels[key] = label
    return HandLabels(labels)


def write_unlabelled(
    path: Path, dataset: Dataset, systems: Iterable[str], results: Results, outcomes: Outcomes
) -> int:
    """Writes the answers on which graders differ, or that one could not grade; returns how many.

    Answers with a label by hand are left out. Systems that gave the same answer share a line.

    Raises:
        DatasetError: The file cannot be written.
    """
    named, lines = tuple(systems), []
    for sample in dataset:
        open_: dict[str, list[Record]] = {}
        for system in named:
            record = results.get(system, sample.id)
            if record is not None and _is_open(record, outcomes):
                open_.setdefault(record.answer, []).append(record)
        for answer, records in open_.items():
            first, *others = (each.system for each in records)
            row = {
                "system": first,
                "sample": sample.id,
                "question": sample.question,
                "answer": answer,
                "grades": _words((first, sample.id), outcomes),
                "refused": None,
                "by": "",
                "also": others,
            }
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(lines))
    except OSError as error:
        raise DatasetError(f"cannot write {str(path)!r}: {error.strerror}") from error
    return len(lines)


def _is_open(record: Record, outcomes: Outcomes) -> bool:
    key = (record.system, record.sample)
    if key in outcomes.by_hand or is_settled(record):
        return False
    words = set(_words(key, outcomes).values())
    return len(words) > 1 or "ungraded" in words


def _words(key: Key, outcomes: Outcomes) -> dict[str, str]:
    return {name: grades[key].word for name, grades in outcomes.grades.items() if key in grades}


def _row(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is not JSON") from error
    if not isinstance(row, Mapping):
        raise DatasetError(f"{where} is no map, expected system, sample, refused and by")
    if unknown := sorted(set(row) - FIELDS):
        raise DatasetError(f"{where} has {unknown[0]!r}, expected system, sample, refused and by")
    for name in ("system", "sample"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise DatasetError(f"{where} has {name} {row.get(name)!r}, expected a text")
    refused = row.get("refused", ...)
    if refused is not None and not isinstance(refused, bool):
        said = "nothing" if refused is ... else repr(refused)
        raise DatasetError(f"{where} has {said} for refused, expected true, false or null")
    if refused is not None and (not isinstance(row.get("by"), str) or not row["by"].strip()):
        raise DatasetError(f"{where} has by {row.get('by')!r}, expected who says so")
    if not isinstance(row.get("answer", ""), str) or not _texts(row.get("also", [])):
        raise DatasetError(f"{where} has an answer or other systems that are no texts")
    return row


def _texts(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(each, str) for each in value)
    )
