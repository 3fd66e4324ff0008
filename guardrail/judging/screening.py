"""What the answering model is asked about a request or an answer, and the verdict of what it says.

A policy's screen is asked first, with the questions that it does not speak for; the others only
where it does not spare them. What is spared gets the screen's own probability, so that every
category has one, and the record says which they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardrail.backends import Questions
from guardrail.judging.judge import answer_questions_of, questions_of
from guardrail.policy import Policy
from guardrail.policy.judge import Judge
from guardrail.policy.verdict import Verdict


@dataclass(frozen=True)
class Screening:
    """The questions of one policy, to be read off the answering model.

    Attributes:
        asked: The categories' questions, by id.
        screen: What is asked before them; None where nothing is.
        covers: The ids of those that it may spare.
        below: The probability below which it does.
    """

    asked: Mapping[str, str]
    screen: str | None = None
    covers: frozenset[str] = frozenset()
    below: float = 0.0

    @classmethod
    def of_requests(cls, policy: Policy) -> Screening:
        """Returns what is asked of a request."""
        return cls._made(policy.judge, questions_of(policy), policy.judge.screen.question)

    @classmethod
    def of_answers(cls, policy: Policy) -> Screening:
        """Returns what is asked of an answer so far."""
        return cls._made(
            policy.judge, answer_questions_of(policy), policy.judge.screen.answer_question
        )

    @classmethod
    def _made(cls, judge: Judge, asked: Mapping[str, str], question: str | None) -> Screening:
        covers = frozenset(judge.screen.covers) & asked.keys()
        # A contrast needs every category's own log-odds, with the picture and without it.
        if question is None or not covers or not judge.screen.below or judge.contrast.looks:
            return cls(asked)
        screen = f"{question} {judge.answer_suffix}".strip()
        return cls(asked, screen, covers, judge.screen.below)

    @property
    def questions(self) -> Questions:
        """What is put to the model."""
        if self.screen is None:
            return Questions(tuple(self.asked.values()))
        first, then = self._stages
        return Questions(
            (self.screen, *(self.asked[name] for name in first)),
            tuple(self.asked[name] for name in then),
            self._spares,
        )

    def verdict(self, p: Sequence[float], *, source: str) -> Verdict:
        """Returns what P(yes) of the questions come to.

        Args:
            p: Of those that were put, in their order.
            source: Who judges, for the record.
        """
        if self.screen is None:
            return Verdict(dict(zip(self.asked, p, strict=True)), source=source)
        first, then = self._stages
        screen, *rest = p
        spared = () if len(rest) > len(first) else then
        asked = [name for name in (*first, *then) if name not in spared]
        found = {**dict.fromkeys(spared, screen), **dict(zip(asked, rest, strict=True))}
        categories = {name: found[name] for name in self.asked}
        return Verdict(categories, source=source, screen=screen, screened=spared)

    def _spares(self, first: Sequence[float]) -> bool:
        return 0 <= first[0] < self.below  # of NaN, no

    @property
    def _stages(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The ids of those that are asked about at any rate, and of those that may be spared."""
        first = tuple(name for name in self.asked if name not in self.covers)
        return first, tuple(name for name in self.asked if name in self.covers)
