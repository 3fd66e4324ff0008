"""Thresholds with a guarantee: order statistics of the scores of one label.

A threshold is put where it lets through as many of `n` scores as an exact binomial bound allows
(see `bounds`). How many that is was known before any score was: so the bound holds as it stands,
whatever the scores' distribution, and also after any monotone map of them that was fitted to the
same scores, which moves no rank. It knows neither judges nor policies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.evaluation.calibration.bounds import (
    allowed_errors,
    allowed_shares,
    needed_trials,
    upper_bound,
)

_FEWEST, _MOST = 4, 17
"""Decimals of a threshold: no more than are needed."""


@dataclass(frozen=True)
class Bar:
    """A threshold that keeps a target, or why there is none.

    Attributes:
        value: The threshold, in [0, 1]; None if none keeps the target.
        n: How many independent scores it rests on.
        allowed: How many of them it may let through; None if `n` is too small.
        bound: The upper bound on the true rate that so many mean, at the confidence asked for.
        needed: How many scores the target takes where not one goes wrong.
        why: Why there is no threshold.
    """

    value: float | None
    n: int
    allowed: int | None
    bound: float
    needed: int
    why: str = ""


def bar_above(
    scores: Sequence[float], *, target: float, confidence: float, others: int | None = None
) -> Bar:
    """Returns the lowest threshold that at most a share of `target` of such scores reach.

    Args:
        scores: Independent; of those that should stay below. Infinite where nothing can help it.
        target: The rate to keep, in (0, 1).
        confidence: With which it is kept, in (0, 1).
        others: Of how many more the share is to keep it, too; without, the true rate alone.
    """
    ordered = sorted(scores, reverse=True)
    bar = _bar(len(ordered), target, confidence, others)
    if bar.allowed is None:
        return bar
    least = ordered[bar.allowed]  # the highest that must stay below
    if least >= 1:
        at = sum(score >= 1 for score in ordered)
        return _impossible(bar, f"{at} of {bar.n} are at a probability of 1, or not judged at all")
    higher = [score for score in ordered if score > least]
    return _at(bar, _just_above(max(least, 0.0), min([*higher, 1.0])))


def bar_below(
    scores: Sequence[float], *, target: float, confidence: float, others: int | None = None
) -> Bar:
    """Returns the highest threshold that at most a share of `target` of such scores stay below.

    Args:
        scores: As above; of those that should reach it.
        target: As above.
        confidence: As above.
        others: As above.
    """
    ordered = sorted(scores)
    bar = _bar(len(ordered), target, confidence, others)
    if bar.allowed is None:
        return bar
    most = ordered[bar.allowed]  # the lowest that must reach it
    if most < 0:
        return _impossible(bar, f"{sum(s < 0 for s in ordered)} of {bar.n} were not judged at all")
    lower = [score for score in ordered if score < most]
    return _at(bar, _just_below(min(most, 1.0), max([*lower, 0.0])))


def _bar(n: int, target: float, confidence: float, others: int | None) -> Bar:
    needed = needed_trials(target, confidence, shares=others is not None)
    allowed = allowed_errors(n, target, confidence)
    if others is not None:
        allowed = allowed_shares(n, others, target, confidence)
    if allowed is None:
        return Bar(None, n, None, 1.0, needed, f"there are {n}, and it takes {needed}")
    return Bar(None, n, allowed, upper_bound(allowed, n, confidence), needed)


def _at(bar: Bar, value: float) -> Bar:
    return Bar(value, bar.n, bar.allowed, bar.bound, bar.needed)


def _impossible(bar: Bar, why: str) -> Bar:
    return Bar(None, bar.n, bar.allowed, bar.bound, bar.needed, why)


def _just_above(low: float, high: float) -> float:
    """Returns a number above `low`, near to it, with few decimals. INVARIANT: low < it <= 1."""
    near = min(high, low + (1 - low) / 10)
    for decimals in range(_FEWEST, _MOST):
        unit: int = 10**decimals
        found = round((math.floor(low * unit) + 1) / unit, decimals)
        if low < found <= near:
            return found
    return math.nextafter(low, 1.0)


def _just_below(high: float, low: float) -> float:
    """Returns a number up to `high`, near to it, with few decimals. INVARIANT: 0 <= it <= high."""
    near = max(low, high - high / 10)
    for decimals in range(_FEWEST, _MOST):
        unit: int = 10**decimals
        found = round(math.floor(high * unit) / unit, decimals)
        if near < found <= high:
            return found
    return high
