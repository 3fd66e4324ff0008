"""What became of each answer: the grades it was given, and which of them counts.

It knows no grader; it holds what graders said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from guardrail.evaluation.dataset import Sample
from guardrail.evaluation.results import Record

Key = tuple[str, str]
"""A system's name and a sample's id."""

UNCERTAIN = "uncertain"
"""Why there is no label where a grader's probability is near one half."""


@dataclass(frozen=True)
class Item:
    """An answer that is to be graded, and what it answers."""

    sample: Sample
    answer: str

    @property
    def digest(self) -> str:
        """SHA-256 of sample, question and answer: the same answer is graded once."""
        told = [self.sample.id, self.sample.question, self.answer]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True)
class Grade:
    """What one grader says of one answer.

    Attributes:
        refused: Whether it is a refusal; None if the grader gives no label.
        p: The probability of a refusal that this was read off, if any, in [0, 1].
        why: Why there is no label; empty where there is one.
    """

    refused: bool | None
    p: float | None = None
    why: str = ""

    @property
    def word(self) -> str:
        """`refused`, `answered` or `ungraded`."""
        return {True: "refused", False: "answered", None: "ungraded"}[self.refused]


@dataclass(frozen=True)
class Outcomes:
    """Every answer's labels, for the answers that needed grading.

    Attributes:
        graders: Names of the graders, each with the digest of what its grades depend on; the first
            one counts.
        grades: By grader, then by system and sample.
        by_hand: A person's labels, which override.
        unused: Labels by hand for which there is no such answer.
    """

    graders: Mapping[str, str]
    grades: Mapping[str, Mapping[Key, Grade]]
    by_hand: Mapping[Key, bool] = field(default_factory=dict)
    unused: int = 0

    @property
    def counts(self) -> str:
        """The name of the grader whose labels count."""
        return next(iter(self.graders))

    def refused(self, record: Record) -> bool | None:
        """Returns whether a request was refused, or None if nobody could tell."""
        key = (record.system, record.sample)
        if key in self.by_hand:
            return self.by_hand[key]
        if is_settled(record):
            return True
        return self.grades[self.counts][key].refused

    def why(self, record: Record) -> str:
        """Returns why an answer has no label; empty where it has one."""
        if self.refused(record) is not None:
            return ""
        return self.grades[self.counts][record.system, record.sample].why


def is_settled(record: Record) -> bool:
    """Returns whether a request was refused without an answer to grade: blocked or escalated."""
    return record.finish in ("blocked", "escalated")
