"""How likely the tokens were that were taken, and which others were likeliest.

Of the logits that a token was chosen from: steered where it was steered, and within reach where a
constraint holds; before temperature, top-p, top-k and whatever else the caller's own settings do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from array_api_compat import array_namespace

from guardrail.backends.arrays import Array, largest, log_softmax
from guardrail.request.logprobs import LEAST_LOGPROB


@dataclass(frozen=True)
class Likelihood:
    """How likely one token was.

    Attributes:
        log_p: Its log-probability, finite.
        likeliest: The likeliest tokens at its place with theirs, likeliest first; none that could
            not have come.
    """

    log_p: float
    likeliest: tuple[tuple[int, float], ...]


def likelihoods(logits: Array, tokens: Sequence[int], count: int) -> list[Likelihood]:
    """Returns how likely each row's token was.

    Args:
        logits: (batch, vocabulary), float; not changed.
        tokens: One per row.
        count: How many of the likeliest tokens are told, >= 0.
    """
    xp = array_namespace(logits)
    log_p = log_softmax(logits)
    best = largest(log_p, count)  # (batch, count)
    taken = xp.asarray([*tokens], dtype=best.dtype, device=logits.device)[:, None]
    places = xp.concat([taken, best], axis=-1)
    found = xp.take_along_axis(log_p, places, axis=-1).tolist()  # brought to the host at once
    return [
        Likelihood(bounded(own), tuple(e for e in zip(ids, rest, strict=True) if can_come(e[1])))
        for ids, (own, *rest) in zip(best.tolist(), found, strict=True)
    ]


def can_come(log_p: float) -> bool:
    """Whether a token of this log-probability can be taken at all."""
    return log_p > LEAST_LOGPROB


def bounded(log_p: float) -> float:
    """Returns a log-probability as JSON can hold it."""
    return min(log_p, 0.0) if can_come(log_p) else LEAST_LOGPROB
