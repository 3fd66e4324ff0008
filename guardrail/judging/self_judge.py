"""The default judge: the answering model itself, read off the answer's own prompt.

The prompt is run once and its cache shared by the questions and the answer. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends import Phase, Reading, Run
from guardrail.judging.judge import judge_failure, within_time
from guardrail.judging.screening import Screening
from guardrail.policy.verdict import Verdict

SOURCE = "self"
"""What the record calls this judge."""


def self_verdicts(run: Run, asked: Screening, *, timeout_s: float, phase: Phase) -> list[Verdict]:
    """Returns the verdict on each request of a run; whatever fails on the way fails the judge.

    Args:
        run: Requests whose prompt is about to be answered.
        asked: What is asked.
        timeout_s: Seconds that each request has; they do not interrupt the model, but a late
            verdict is thrown away.
        phase: Entered around running the prompt and around reading.
    """
    return _verdicts(run.read(asked.questions, phase), asked, timeout_s)


def self_verdicts_on_answers(
    run: Run,
    rows: Sequence[int],
    said: Sequence[str],
    asked: Screening,
    *,
    timeout_s: float,
) -> list[Verdict]:
    """Returns the verdict on some answers of a run as far as they have come.

    Args:
        run: It decodes them.
        rows: As for `Run.read_answers`.
        said: As for `Run.read_answers`.
        asked: What is asked.
        timeout_s: Seconds that each answer has, as for `self_verdicts`.
    """
    return _verdicts(run.read_answers(rows, said, asked.questions), asked, timeout_s)


def _verdicts(reading: Reading, asked: Screening, timeout_s: float) -> list[Verdict]:
    verdicts = [_verdict(asked, each) for each in reading.rows]
    return within_time(verdicts, took_s=reading.took_s, timeout_s=timeout_s * len(reading.rows))


def _verdict(asked: Screening, p: Sequence[float] | Exception) -> Verdict:
    if isinstance(p, Exception):
        return Verdict.unavailable(judge_failure(p, source=SOURCE, ours=True), source=SOURCE)
    return asked.verdict(p, source=SOURCE)
