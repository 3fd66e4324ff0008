"""Exact bounds on a rate from how often something went wrong: binomial, and of order statistics.

Plain arithmetic on whole numbers; it knows neither scores nor requests. A bound here is one-sided
and holds for any true rate, however small the number of trials is.

Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
    the case of the binomial", Biometrika 26 (1934). That the same count also bounds the rate beyond
    an order statistic: S. S. Wilks, "Determination of sample sizes for setting tolerance limits",
    Ann. Math. Stat. 12 (1941); as conformal prediction given its calibration set: V. Vovk,
    "Conditional validity of inductive conformal predictors", ACML (2012).
"""

from __future__ import annotations

import math
from functools import lru_cache

_STEPS = 100
"""Halvings of [0, 1]: more than a float can tell apart."""


def chance_of_at_most(count: int, n: int, rate: float) -> float:
    """Returns P(X <= count) for X binomial with `n` trials at `rate`.

    Args:
        count: Any whole number.
        n: >= 0.
        rate: In [0, 1].
    """
    if count < 0:
        return 0.0
    if count >= n or rate == 0.0:
        return 1.0
    if rate == 1.0:
        return 0.0
    hit, miss = math.log(rate), math.log1p(-rate)
    terms = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * hit + (n - k) * miss
        for k in range(count + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


@lru_cache(maxsize=1024)
def upper_bound(errors: int, n: int, confidence: float) -> float:
    """Returns the rate that the true one is below with `confidence` (Clopper-Pearson, one-sided).

    Args:
        errors: How many of `n` trials went wrong, 0 <= errors <= n.
        n: Independent trials; of none, nothing is known, and the bound is 1.
        confidence: In (0, 1).
    """
    if errors >= n:
        return 1.0
    low, high = errors / n, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if chance_of_at_most(errors, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_bound(errors: int, n: int, confidence: float) -> float:
    """Returns the rate that the true one is above with `confidence`; arguments as above."""
    return 1.0 - upper_bound(n - errors, n, confidence) if errors else 0.0


@lru_cache(maxsize=1024)
def allowed_errors(n: int, target: float, confidence: float) -> int | None:
    """Returns the most errors in `n` trials whose upper bound is still at most `target`.

    It depends on no outcome: whoever fixes a threshold by so many errors has chosen nothing by
    looking, and the bound holds as it stands.

    Returns:
        A whole number >= 0; None if not even no error at all would do.
    """
    count = -1
    while count + 1 < n and chance_of_at_most(count + 1, n, target) <= 1 - confidence:
        count += 1
    return count if count >= 0 else None


@lru_cache(maxsize=1024)
def needed_trials(target: float, confidence: float, *, shares: bool = False) -> int:
    """Returns the fewest trials that, all without error, bound the rate by `target`.

    Args:
        target: In (0, 1).
        confidence: In (0, 1).
        shares: Whether the share of as many others is to be bounded, too (`allowed_shares`).
    """
    n = max(1, math.ceil(math.log(1 - confidence) / math.log1p(-target)) - 1)
    while chance_of_at_most(0, n, target) > 1 - confidence:
        n += 1
    while shares and chance_of_exceeding(0, n, n, target) > 1 - confidence:
        n += 1
    return n


@lru_cache(maxsize=1024)
def chance_of_exceeding(errors: int, n: int, others: int, target: float) -> float:
    """Returns how often the share of `others` new trials is above `target`, by chance alone.

    A threshold lies where it lets exactly `errors` of `n` scores through; how many of `others`
    scores, drawn alike, pass it, depends on no distribution: they come in any order. It says how
    often a *measured* share may be expected above a target that the true rate keeps.

    Args:
        errors: As `allowed_errors` gives it.
        n: How many scores fixed the threshold.
        others: How many are counted against it.
        target: In [0, 1].

    Source: the negative hypergeometric law of exceedances; E. J. Gumbel and H. von Schelling, "The
        distribution of the number of exceedances", Ann. Math. Stat. 21 (1950).
    """
    over = most_within(others, target) + 1  # exceeded from so many on
    if over > others:
        return 0.0
    # The first `errors + over` scores from the top hold at most `errors` of the n.
    drawn = errors + over
    ways = sum(math.comb(n, k) * math.comb(others, drawn - k) for k in range(errors + 1))
    return ways / math.comb(n + others, drawn)


def allowed_shares(n: int, others: int, target: float, confidence: float) -> int | None:
    """Returns the most errors in `n` with which the share of `others` is at most `target`, too.

    The share of a finite number goes above the true rate as often as below it, so this takes a
    stricter threshold than a bound on the rate alone.

    Args:
        n: How many scores fix the threshold.
        others: How many more are counted.
        target: In (0, 1).
        confidence: With which both hold, each by itself.

    Returns:
        A whole number >= 0; None if not even no error at all would do.
    """
    count = allowed_errors(n, target, confidence)
    while count is not None and chance_of_exceeding(count, n, others, target) > 1 - confidence:
        count = count - 1 if count else None
    return count


def most_within(n: int, target: float) -> int:
    """Returns the largest count whose share of `n` is at most `target`."""
    count = min(n, int(n * target) + 1)
    while count and count / n > target:
        count -= 1
    return count
