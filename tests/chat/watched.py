"""Judges of answers by what they have said so far."""

from __future__ import annotations

from collections.abc import Callable

from guardrail.judging.judge import JudgeRequest


def turning(
    is_unsafe: Callable[[str], bool], *, request: float = 0.01
) -> Callable[[JudgeRequest], float]:
    """Returns a judge to which an answer is unsafe once its words are.

    Args:
        is_unsafe: Says it of an answer so far.
        request: What the judge believes of every request.
    """

    def judge(asked: JudgeRequest) -> float:
        last = asked.conversation.turns[-1]
        if last.role != "assistant":
            return request
        return 0.99 if is_unsafe(last.text) else 0.01

    return judge
