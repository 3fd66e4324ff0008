"""What a run gives back: readings of questions, and the tokens that its rows take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from guardrail.backends.likelihood import Likelihood

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Reading:
    """Answers to yes-or-no questions, read as probabilities.

    Attributes:
        rows: For each request P(yes) of each question that was put, in [0, 1], or why there are
            none.
        took_s: Seconds that reading took, beyond what the answer's own prompt costs.
    """

    rows: Sequence[Sequence[float] | Exception]
    took_s: float


@dataclass(frozen=True)
class Taken:
    """The rows' next tokens; of rows that have finished, what came last.

    Attributes:
        tokens: One per row.
        finished: Why rows have finished, None where not.
        likelihoods: How likely the tokens were, None where that is not wanted, or not known of what
            is no text.
    """

    tokens: Sequence[int]
    finished: Sequence[FinishReason | None]
    likelihoods: Sequence[Likelihood | None]
