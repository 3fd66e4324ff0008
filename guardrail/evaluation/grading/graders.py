"""Graders: by vocabulary, by a local model's yes or no, by a chat model's probability.

Each takes answers and gives a grade for every one of them, in order. None raises for an answer that
it cannot grade, and none reads a label out of a model's words: models are read as probabilities.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

from guardrail.backends import Backend
from guardrail.evaluation.grading.outcomes import UNCERTAIN, Grade, Item
from guardrail.evaluation.grading.rubric import Rubric, load_rubric
from guardrail.judging.judge import Judge, Judged, JudgeRequest, ask_judge, judge_failure
from guardrail.judging.patience import Patience
from guardrail.policy.refusals import is_refusal
from guardrail.request.conversation import Conversation, Turn
from guardrail.request.pictures import load_picture

REFUSED = "refused"
"""The one category that graders are asked about."""


class Grader(Protocol):
    """Labels answers."""

    @property
    def name(self) -> str:
        """By which it is called in reports."""

    @property
    def digest(self) -> str:
        """SHA-256 of what its grades depend on; grades are kept under it."""

    @property
    def is_costly(self) -> bool:
        """Whether its grades are worth keeping."""

    def __call__(self, items: Sequence[Item]) -> list[Grade]:
        """Returns a grade for every item, in order."""


class VocabularyGrader:
    """An answer is refused if it begins as refusals do.

    Args:
        phrases: Beginnings of refusals.
        name: By which it is called.
    """

    is_costly = False

    def __init__(self, phrases: Sequence[str], *, name: str = "vocabulary") -> None:
        self._phrases = tuple(phrases)
        self.name = name
        self.digest = _digest("vocabulary", sorted(self._phrases))

    def __call__(self, items: Sequence[Item]) -> list[Grade]:
        """Returns a grade for every item; there is one for each."""
        return [Grade(is_refusal(each.answer, self._phrases)) for each in items]


class ModelGrader:
    """A local model that is asked the rubric's question, unguarded, after request and answer.

    Its yes or no is read as a probability off the logits of the next token.

    Args:
        backend: Runs it: `SafeCoDe.backend`, or any other.
        rubric: What it is asked; the shipped one by default.
        name: By which it is called.
        weights: What tells one state of the model from another, for the digest.
    """

    is_costly = True

    def __init__(
        self,
        backend: Backend,
        *,
        rubric: Rubric | None = None,
        name: str = "model",
        weights: Sequence[str] = (),
    ) -> None:
        self._backend = backend
        self._rubric = rubric or load_rubric()
        self.name = name
        self.digest = _digest("model", backend.name, list(weights), self._rubric.digest)

    def __call__(self, items: Sequence[Item]) -> list[Grade]:
        """Returns a grade for every item; those that cannot run together run alone."""
        try:
            asked = [self._asked(each) for each in items]
            return [_grade(p, self._rubric) for p in self._backend.p_yes(asked)]
        except Exception as error:
            if len(items) == 1:
                return [Grade(None, why=judge_failure(error, source=self.name, ours=True))]
        return [grade for each in items for grade in self([each])]

    def _asked(self, item: Item) -> Conversation:
        shown = self._rubric.pictures or self._backend.needs_picture
        return _exchange(item, pictures=shown).ask(self._rubric.question or "")


class JudgeGrader:
    """Any judge, such as `ChatJudge` around a chat model, that fills in P(refused).

    Args:
        judge: Asked once for each item, about the one category `refused`.
        rubric: What it is asked; the shipped one by default.
        name: By which it is called.
        identity: What tells it from others, for the digest.
    """

    is_costly = True

    def __init__(
        self,
        judge: Judge,
        *,
        rubric: Rubric | None = None,
        name: str = "judge",
        identity: Sequence[str] = (),
    ) -> None:
        self._judge = judge
        self._rubric = rubric or load_rubric()
        self._patience: Patience[Judged] = Patience()
        self.name = name
        self.digest = _digest("judge", list(identity), self._rubric.digest)

    def __call__(self, items: Sequence[Item]) -> list[Grade]:
        """Returns a grade for every item, asked one after the other."""
        return [self._graded(each) for each in items]

    def _graded(self, item: Item) -> Grade:
        try:
            conversation = _exchange(item, pictures=self._rubric.pictures)
        except Exception as error:
            return Grade(None, why=judge_failure(error, source=self.name, ours=True))
        verdict = ask_judge(
            self._judge,
            JudgeRequest(conversation, {REFUSED: self._rubric.question or ""}),
            timeout_s=self._rubric.timeout_s,
            source=self.name,
            patience=self._patience,
        )
        if verdict.error is not None:
            return Grade(None, why=verdict.error)
        return _grade(verdict.categories.get(REFUSED), self._rubric)


def _grade(p: float | None, rubric: Rubric) -> Grade:
    """Returns the label of a probability; what is no probability has none."""
    if p is None or not 0 <= p <= 1:  # NaN is not
        return Grade(None, why="the grader gave no probability from 0 to 1")
    if p >= rubric.refused_at:
        return Grade(True, p)
    if p < rubric.answered_below:
        return Grade(False, p)
    return Grade(None, p, why=UNCERTAIN)


def _exchange(item: Item, *, pictures: bool) -> Conversation:
    """Returns request and answer as the two turns that they were.

    What stands in either cannot pass for the grader's own question: backends and chat judges keep
    turns apart.
    """
    shown = item.sample.picture if pictures else None
    asked = (load_picture(shown),) if shown is not None else ()
    return Conversation(
        (Turn("user", (*asked, item.sample.question)), Turn("assistant", (item.answer,)))
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
