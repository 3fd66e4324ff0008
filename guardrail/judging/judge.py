"""Asking a judge: what it is asked, and what its answer is taken for.

Nothing here compares a judge's answer as a string, and nothing that goes wrong can look like
*safe*: every failure is a verdict that is unavailable, with its reason.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from guardrail.errors import JudgeError, MessageError, ModelError, PictureError, SettingsError
from guardrail.judging.patience import Patience
from guardrail.policy import Policy
from guardrail.policy.answer_questions import answer_questions
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation

_log = logging.getLogger(__name__)
_TURNING_AWAY = (PictureError, MessageError, SettingsError, ModelError)


@dataclass(frozen=True)
class JudgeRequest:
    """What a judge is asked.

    Attributes:
        conversation: The request, pictures included, and tool traffic in words.
        questions: The harm question of each category, by category id.
    """

    conversation: Conversation
    questions: Mapping[str, str]


Judge = Callable[[JudgeRequest], "Verdict | Mapping[str, float] | float"]
"""Any callable may judge: it returns a verdict, probabilities by category, or one for all."""


Judged = Verdict | Mapping[str, float] | float


def ask_judge(
    judge: Judge,
    request: JudgeRequest,
    *,
    timeout_s: float,
    source: str,
    patience: Patience[Judged] | None = None,
) -> Verdict:
    """Returns what `judge` says, or an unavailable verdict if it raises, stalls or babbles.

    Args:
        judge: Runs in a thread of its own; after a time-out its answer is thrown away.
        request: The request and the questions.
        timeout_s: Seconds to wait.
        source: Who judges, for the record.
        patience: What is remembered of this judge's time-outs; nothing by default.
    """
    waiting: Patience[Judged] = patience if patience is not None else Patience()
    try:
        answer = waiting.ask(lambda: judge(request), timeout_s=timeout_s, name=source)
    except Exception as error:
        return Verdict.unavailable(judge_failure(error, source=source), source=source)
    return _asked_only(_as_verdict(answer, request.questions, source), request.questions)


def _asked_only(verdict: Verdict, questions: Mapping[str, str]) -> Verdict:
    """Leaves out categories that nobody asked about: their names are the judge's own words."""
    asked = {name: p for name, p in verdict.categories.items() if name in questions}
    if len(asked) == len(verdict.categories):
        return verdict
    count = len(verdict.categories) - len(asked)
    _log.warning("the judge named %d categories that are not in the policy: ignored", count)
    return replace(verdict, categories=asked)


def within_time(verdicts: Sequence[Verdict], *, took_s: float, timeout_s: float) -> list[Verdict]:
    """Returns `verdicts`, or unavailable ones if they took more than `timeout_s`.

    Args:
        verdicts: What an in-process judge, which cannot be interrupted, has said.
        took_s: Seconds that it took.
        timeout_s: Seconds that it had.
    """
    if took_s <= timeout_s:
        return list(verdicts)
    reason = f"the judge took {took_s:.1f} s, longer than {timeout_s:g} s"
    return [Verdict.unavailable(reason, source=verdict.source) for verdict in verdicts]


def _as_verdict(answer: object, questions: Mapping[str, str], source: str) -> Verdict:
    if isinstance(answer, Verdict):
        return readable(answer)
    if isinstance(answer, bool) or answer is None or isinstance(answer, (str, bytes)):
        return Verdict.unavailable(
            f"the judge gave a {type(answer).__name__}, expected a probability or"
            " probabilities by category",
            source=source,
        )
    try:
        if isinstance(answer, Mapping):
            categories = _as_numbers(answer)
        else:
            categories = dict.fromkeys(questions, float(answer))  # type: ignore[arg-type]
    except Exception:  # whatever a judge's own object raises
        return Verdict.unavailable(
            f"the judge gave a {type(answer).__name__}, expected probabilities", source=source
        )
    return Verdict(categories=categories, source=source)


def _as_numbers(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(p) for name, p in probabilities.items()}


def _as_number(value: object) -> float | None:
    """Returns a competence, or a screen's probability, as a finite number; raises for others."""
    if value is None:
        return None
    found = float(value)  # type: ignore[arg-type]
    if isinstance(value, (str, bytes, bool)) or not math.isfinite(found):
        raise ValueError("it is no finite number")
    return found


def readable(verdict: Verdict) -> Verdict:
    """Returns `verdict` with its probabilities as numbers, or unavailable if it holds others.

    Args:
        verdict: Somebody's own, which may hold anything.
    """
    try:
        if verdict.error is None or isinstance(verdict.error, str):
            return replace(
                verdict,
                categories=_as_numbers(verdict.categories),
                source=str(verdict.source),
                competence=_as_number(verdict.competence),
                evidence=_as_numbers(verdict.evidence),
                screen=_as_number(verdict.screen),
                screened=tuple(map(str, verdict.screened)),
            )
    except Exception as error:  # whatever a judge's own object raises
        _log.debug("the verdict's error", exc_info=error)
    return Verdict.unavailable(
        "the judge gave a Verdict that cannot be read, expected probabilities by category",
        source=str(verdict.source),
    )


def judge_failure(error: BaseException, *, source: str, ours: bool = False) -> str:
    """Logs a judge's failure and returns one line for the record.

    Words of foreign errors may quote the request: they go to the debug log only. So does the
    traceback, which the error then has no more.

    Args:
        error: What was raised.
        source: Who judges, for the log.
        ours: Whether no foreign code can have put words into an error of this library.
    """
    line = f"the judge failed: {type(error).__name__}"
    if isinstance(error, JudgeError):
        line = str(error)
    elif ours:
        line = f"the judge failed: {own_reason(error)}"
    _log.warning("%s (judge: %s)", line, source)
    _log.debug("the judge's error", exc_info=error)
    # Its frames hold what it was read from, and so itself: a request's memory in a circle.
    error.__traceback__ = None
    return line


def own_reason(error: BaseException) -> str:
    """Returns an error's kind, and the reason of those by which this library turns requests away.

    Observers and ledgers may raise the others in words of their own.
    """
    kind = type(error).__name__
    return f"{kind}: {error.reason}" if isinstance(error, _TURNING_AWAY) else kind


def questions_of(policy: Policy) -> dict[str, str]:
    """Returns what a judge is asked under `policy`, by category id."""
    suffix = policy.judge.answer_suffix
    return {each.id: f"{each.question} {suffix}".strip() for each in policy.categories}


def answer_questions_of(policy: Policy) -> dict[str, str]:
    """Returns what a judge is asked of the answer so far under `policy`, by category id."""
    suffix = policy.judge.answer_suffix
    return {name: f"{asked} {suffix}".strip() for name, asked in answer_questions(policy).items()}
