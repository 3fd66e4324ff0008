"""The statistics of an evaluation: shares with Wilson intervals, AUROC, bootstrap over clusters.

Plain numpy; it knows nothing of models, policies or data sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]

Z_95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def wilson(count: int, n: int, *, z: float = Z_95) -> Interval:
    """Returns the Wilson score interval of a share.

    Unlike the textbook interval it stays in [0, 1] and is not a point at 0 of n or n of n.

    Args:
        count: How many of `n`, 0 <= count <= n.
        n: How many in all; for 0 nothing is known, and the interval is (0, 1).
        z: Quantile of the standard normal distribution; 95% by default.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        J. Am. Stat. Assoc. 22 (1927).
    """
    if not 0 <= count <= n:
        raise ValueError(f"count is {count}, expected 0 to n, which is {n}")
    if n == 0:
        return 0.0, 1.0
    share, square = count / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # At 0 of n and n of n the ends are exact; rounding would leave them a hair off.
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == n else min(1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class Share:
    """How many of how many, with its 95% Wilson interval."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        """The 95% Wilson interval."""
        return wilson(self.count, self.n)

    def to_json(self) -> dict[str, Any]:
        """Returns value, interval, count and n as plain JSON."""
        return {
            "value": self.value,
            "interval": list(self.interval),
            "count": self.count,
            "n": self.n,
        }


def auroc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Returns the probability that a positive scores above a negative; ties count half.

    Args:
        scores: (n,) finite numbers.
        positive: (n,) which of them are positives.

    Returns:
        A number in [0, 1], or None without positives or without negatives.

    Source: the Mann-Whitney statistic by mid-ranks.
    """
    scores, positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    if scores.shape != positive.shape or not np.isfinite(scores).all():
        raise ValueError("scores must be finite, one for each label")
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return None
    _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(sizes) - (sizes - 1) / 2  # ranks from 1, tied values share their mean
    rank_sum = float(mid_ranks[place][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def resampled(clusters: int, *, seed: int, resamples: int = 2000) -> NDArray[np.int64]:
    """Returns how often each cluster is drawn in each bootstrap resample: (resamples, clusters).

    The same seed and number of clusters give the same draws, so that statistics of several systems
    over the same clusters are paired.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(clusters, size=(resamples, clusters))
    counts = np.zeros((resamples, clusters), dtype=np.int64)
    np.add.at(counts, (np.arange(resamples)[:, None], drawn), 1)
    return counts


def percentiles(values: Floats, *, level: float = 0.95) -> Interval | None:
    """Returns the central interval of bootstrap values; NaN (an empty side) does not count."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float | None], counts: NDArray[np.int64]
) -> Interval | None:
    """Returns the 95% percentile interval of a statistic over resampled clusters.

    Args:
        statistic: Takes how often each cluster is drawn, (clusters,); None where undefined.
        counts: From `resampled`.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Ann. Stat. 7 (1979).
    """
    values = [statistic(row) for row in counts]
    return percentiles(np.array([np.nan if value is None else value for value in values]))


def rounded(value: Any, digits: int = 4) -> Any:
    """Returns plain JSON with its floats rounded; NaN becomes None.

    What is too small for so many decimals keeps three significant digits, so that a tiny p value
    does not become 0; what is below 1e-12 is the noise of floating point, and does.
    """
    if isinstance(value, dict):
        return {name: rounded(inner, digits) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner, digits) for inner in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        tiny = 1e-12 <= abs(value) < 10.0 ** (1 - digits)
        return float(f"{value:.3g}") if tiny else round(value, digits)
    return value
