"""How good a verdict's probabilities are: Brier score, log loss, calibration, risk and coverage.

Plain functions of probabilities and of what turned out to be so; it knows nothing of models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.metrics import Floats, Interval, wilson

Flags = NDArray[np.bool_]

BINS = 10
"""Bins of equal width that calibration is looked at in."""

LEAST = 1e-6
"""A log loss takes probabilities nearer to 0 or 1 as this near, as a policy's calibration does."""

POINTS = 50
"""Most points that a curve is written out with."""


@dataclass(frozen=True)
class Bin:
    """The probabilities from `low` to below `high`; the last bin holds 1, too.

    Attributes:
        n: How many there are.
        mean_p: Their mean; None of none.
        share: The share of them for which it was so; None of none.
        interval: Its 95% Wilson interval.
    """

    low: float
    high: float
    n: int
    mean_p: float | None
    share: float | None
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        return {**asdict(self), "interval": list(self.interval)}


@dataclass(frozen=True)
class Point:
    """What is covered and risked by acting only at a confidence of `threshold` or more.

    Attributes:
        coverage: The share of cases at or above the threshold.
        risk: The share of those that went wrong.
    """

    threshold: float
    coverage: float
    risk: float


def squared_errors(p: Floats, positive: Flags) -> Floats:
    """Returns (p - y)^2 for each case, (n,); their mean is the Brier score.

    Args:
        p: (n,) probabilities in [0, 1].
        positive: (n,) whether it was so.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly
        Weather Review 78 (1950), in the form for two classes, from 0 to 1.
    """
    p, positive = _checked(p, positive)
    return np.square(p - positive)


def log_losses(p: Floats, positive: Flags) -> Floats:
    """Returns each case's log loss in nats, (n,).

    Args:
        p: (n,) probabilities in [0, 1].
        positive: (n,) whether it was so.
    """
    p, positive = _checked(p, positive)
    held = np.clip(p, LEAST, 1 - LEAST)
    return np.asarray(-np.where(positive, np.log(held), np.log1p(-held)))


def reliability(p: Floats, positive: Flags, *, bins: int = BINS) -> tuple[Bin, ...]:
    """Returns the reliability curve: what came true of the probabilities in each bin.

    Args:
        p: (n,) probabilities in [0, 1].
        positive: (n,) whether it was so.
        bins: How many of equal width there are, >= 1; empty ones are given, too.
    """
    p, positive = _checked(p, positive)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    found = []
    for at in range(bins):
        inside = place == at
        n, true = int(inside.sum()), int(positive[inside].sum())
        found.append(
            Bin(
                low=at / bins,
                high=(at + 1) / bins,
                n=n,
                mean_p=float(p[inside].mean()) if n else None,
                share=true / n if n else None,
                interval=wilson(true, n),
            )
        )
    return tuple(found)


def expected_calibration_error(curve: tuple[Bin, ...]) -> float | None:
    """Returns the mean distance of mean probability and share over the bins, weighed by their n.

    It depends on the bins, and with few cases it is above 0 even of true probabilities.

    Args:
        curve: From `reliability`.

    Returns:
        A number in [0, 1], or None of nothing.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities
        using Bayesian binning", AAAI (2015).
    """
    n = sum(each.n for each in curve)
    if not n:
        return None
    gaps = (
        each.n * abs(each.mean_p - each.share)
        for each in curve
        if each.mean_p is not None and each.share is not None
    )
    return sum(gaps) / n


def risk_coverage(confidence: Floats, wrong: Flags) -> tuple[Point, ...]:
    """Returns the risk-coverage curve, from the most confident cases to all of them.

    Cases of equal confidence enter together: each threshold that occurs is one point.

    Args:
        confidence: (n,) finite numbers.
        wrong: (n,) whether the case went wrong.

    Source: R. El-Yaniv, Y. Wiener, "On the foundations of noise-free selective classification",
        J. Mach. Learn. Res. 11 (2010).
    """
    confidence, wrong = np.asarray(confidence, dtype=float), np.asarray(wrong, dtype=bool)
    if confidence.shape != wrong.shape or not np.isfinite(confidence).all():
        raise ValueError("confidences must be finite, one for each case")
    levels, place = np.unique(-confidence, return_inverse=True)
    covered = np.cumsum(np.bincount(place, minlength=levels.size))
    failed = np.cumsum(np.bincount(place, weights=wrong, minlength=levels.size))
    return tuple(
        Point(float(-level), float(n / confidence.size), float(bad / n))
        for level, n, bad in zip(levels, covered, failed, strict=True)
    )


def area_under_risk(curve: tuple[Point, ...]) -> float | None:
    """Returns the mean risk over all coverages (AURC), or None of nothing; lower is better.

    Each point counts by the coverage that it adds, so that cases of equal confidence share the risk
    of all of them.

    Args:
        curve: From `risk_coverage`.

    Source: Y. Geifman, G. Uziel, R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
        classifiers", ICLR (2019).
    """
    if not curve:
        return None
    before = (0.0, *(each.coverage for each in curve[:-1]))
    return sum((each.coverage - low) * each.risk for each, low in zip(curve, before, strict=True))


def thinned(curve: tuple[Point, ...], *, points: int = POINTS) -> tuple[Point, ...]:
    """Returns at most `points` points of a curve, evenly among its thresholds, with both ends.

    Args:
        curve: From `risk_coverage`.
        points: How many, >= 2.
    """
    if len(curve) <= points:
        return curve
    kept = np.unique(np.linspace(0, len(curve) - 1, points).round().astype(int))
    return tuple(curve[at] for at in kept)


def _checked(p: Floats, positive: Flags) -> tuple[Floats, Flags]:
    p, positive = np.asarray(p, dtype=float), np.asarray(positive, dtype=bool)
    # NaN is neither: a comparison with it is false.
    if p.shape != positive.shape or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be from 0 to 1, one for each case")
    return p, positive
