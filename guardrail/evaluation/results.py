"""What was answered: one record per system and sample, kept in a file that a rerun goes on from.

A results file is a `Journal`; each line is a `Record` or a `KeptGrade`. Records of the forms before
`categories`, `steps`, `readings` and `turned_at` were kept count, without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from guardrail.evaluation.journal import Journal
from guardrail.policy.terms import CLEARING, Act


@dataclass(frozen=True)
class Step:
    """One guided step: the token it chose, the one it would have, and what became of refusing.

    Attributes:
        refusal_mass_before: Probability in [0, 1] of beginning or continuing a refusal, unsteered.
        refusal_mass_after: The same, steered.
    """

    step: int
    token: str
    token_unguarded: str
    refusal_mass_before: float
    refusal_mass_after: float


@dataclass(frozen=True)
class Reading:
    """One reading of an answer that was watched.

    Attributes:
        tokens: How many tokens the answer had.
        act: What was done; `record` where a policy in `shadow` did nothing.
        p_unsafe: The answer questions' largest probability; None if nobody could tell.
    """

    tokens: int
    act: Act
    p_unsafe: float | None


@dataclass(frozen=True)
class Record:
    """One answered request.

    Attributes:
        answer: What came back: the model's words, or the policy's.
        tokens: The generated token ids; empty if the request was blocked.
        finish: The decision's finish reason, such as `stop` or `blocked`.
        p_unsafe: The verdict's largest probability; None if nobody judged.
        label: The verdict's label; None if nobody judged.
        seconds: Its share of its batch's wall time.
        categories: The verdict's probabilities by category id; None where they were not kept.
        steps: The guided steps; None where they were not kept.
        readings: What was read of the answer while it grew; None where it was not kept.
        turned_at: How many tokens the answer had when it first helped with something harmful, as
            the sample tells it; None where it never did.
    """

    system: str
    sample: str
    answer: str
    tokens: tuple[int, ...]
    finish: str
    action: str
    label: str | None
    p_unsafe: float | None
    seconds: float
    categories: Mapping[str, float] | None = None
    steps: tuple[Step, ...] | None = None
    readings: tuple[Reading, ...] | None = None
    turned_at: int | None = None

    @property
    def stopped_at(self) -> int | None:
        """How many tokens the answer had when a reading stopped it; None where none did."""
        acted = (each for each in self.readings or () if each.act not in CLEARING)
        return next((each.tokens for each in acted if each.act != "hold"), None)


@dataclass(frozen=True)
class KeptGrade:
    """What a grader said of an answer, so that a rerun does not ask again.

    Attributes:
        grader: The digest of what the grade depends on: model, rubric.
        item: The digest of the answer and what it answers.
        refused: The label; None where the grader was not sure.
        p: The probability that it was read off.
        why: Why there is no label.
    """

    grader: str
    item: str
    refused: bool | None
    p: float | None
    why: str


_FIELDS = {each.name for each in fields(Record)}
_NEEDED = {each.name for each in fields(Record) if each.default is MISSING}
_GRADE_FIELDS = {each.name for each in fields(KeptGrade)}


class Results:
    """Records in memory and, if a path is given, in a file.

    Args:
        header: What is run: data set, model, policies, seed; plain JSON.
        path: Where to append, and to go on from.
        resume: Whether records in an existing file count; else it is written anew.
        option: The command line's word for the path, for what is said when it cannot be used.

    Raises:
        DatasetError: The file was written by another run, is no results file, or cannot be opened.
    """

    def __init__(
        self,
        header: Mapping[str, Any],
        *,
        path: Path | None = None,
        resume: bool = True,
        option: str = "--output",
    ) -> None:
        self._records: dict[tuple[str, str], Record] = {}
        self._grades: dict[tuple[str, str], KeptGrade] = {}
        self._journal = Journal(
            "results",
            "guardrail_eval",
            header,
            path=path,
            resume=resume,
            take=self._take,
            option=option,
        )

    def _take(self, row: Any) -> bool:
        if isinstance(row, dict) and _NEEDED <= row.keys() <= _FIELDS:
            self._keep(_record(row))
        elif isinstance(row, dict) and row.keys() == _GRADE_FIELDS:
            self._grades[row["grader"], row["item"]] = KeptGrade(**row)
        else:
            return False
        return True

    def add(self, records: Sequence[Record]) -> None:
        """Keeps records, and appends them to the file in one write."""
        for record in records:
            self._keep(record)
        self._journal.append([asdict(each) for each in records])

    def get(self, system: str, sample: str) -> Record | None:
        """Returns a system's record of a sample, if it was answered."""
        return self._records.get((system, sample))

    def add_grades(self, grades: Sequence[KeptGrade]) -> None:
        """Keeps grades, and appends them to the file in one write."""
        self._grades.update({(each.grader, each.item): each for each in grades})
        self._journal.append([asdict(each) for each in grades])

    def grade(self, grader: str, item: str) -> KeptGrade | None:
        """Returns the grade that a grader gave before, by the two digests."""
        return self._grades.get((grader, item))

    def __len__(self) -> int:
        return len(self._records)

    def _keep(self, record: Record) -> None:
        self._records[record.system, record.sample] = record


def _record(row: Mapping[str, Any]) -> Record:
    steps, readings = row.get("steps"), row.get("readings")
    kept: dict[str, Any] = {
        "tokens": tuple(row["tokens"]),
        "steps": None if steps is None else tuple(Step(**each) for each in steps),
        "readings": None if readings is None else tuple(Reading(**each) for each in readings),
    }
    return Record(**{**row, **kept})
