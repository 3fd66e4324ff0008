"""Exact bounds: against closed forms, against sums by hand, and against what they promise."""

import itertools
import math
import random
from fractions import Fraction

import pytest

from guardrail.evaluation.calibration.bounds import (
    allowed_errors,
    allowed_shares,
    chance_of_at_most,
    chance_of_exceeding,
    lower_bound,
    most_within,
    needed_trials,
    upper_bound,
)


@pytest.mark.parametrize(("n", "rate"), [(1, 0.3), (7, 0.5), (12, 0.02), (30, 0.9)])
def test_the_distribution_is_the_sum_of_its_terms(n: int, rate: float) -> None:
    exact = Fraction(rate)
    total = Fraction(0)
    for k in range(n + 1):
        total += math.comb(n, k) * exact**k * (1 - exact) ** (n - k)
        assert chance_of_at_most(k, n, rate) == pytest.approx(float(total), abs=1e-12)
    assert chance_of_at_most(-1, n, rate) == 0
    assert chance_of_at_most(n + 1, n, rate) == 1


def test_rates_of_nothing_and_of_everything_have_their_limits() -> None:
    assert chance_of_at_most(0, 5, 0.0) == 1
    assert chance_of_at_most(4, 5, 1.0) == 0


@pytest.mark.parametrize("n", [1, 20, 149, 5000])
def test_without_an_error_the_bound_has_a_closed_form(n: int) -> None:
    assert upper_bound(0, n, 0.95) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
    assert lower_bound(n, n, 0.95) == pytest.approx(0.05 ** (1 / n), rel=1e-9)


def test_bounds_are_the_published_ones() -> None:
    # Clopper-Pearson, two-sided 95%, 10 of 100: 4.9005% to 17.6223%.
    assert lower_bound(10, 100, 0.975) == pytest.approx(0.049005, abs=1e-6)
    assert upper_bound(10, 100, 0.975) == pytest.approx(0.176223, abs=1e-6)


def test_of_nothing_nothing_is_known() -> None:
    assert upper_bound(0, 0, 0.95) == 1
    assert lower_bound(0, 0, 0.95) == 0
    assert upper_bound(3, 3, 0.95) == 1


def test_two_per_cent_takes_149_without_an_error() -> None:
    assert needed_trials(0.02, 0.95) == 149
    assert allowed_errors(148, 0.02, 0.95) is None
    assert allowed_errors(149, 0.02, 0.95) == 0
    assert needed_trials(0.05, 0.95) == 59


@pytest.mark.parametrize(("n", "target"), [(280, 0.02), (280, 0.1), (59, 0.05), (1000, 0.01)])
def test_allowed_errors_are_the_most_whose_bound_keeps_the_target(n: int, target: float) -> None:
    allowed = allowed_errors(n, target, 0.95)
    assert allowed is not None
    assert upper_bound(allowed, n, 0.95) <= target < upper_bound(allowed + 1, n, 0.95)


def test_of_no_trials_no_errors_are_allowed() -> None:
    assert allowed_errors(0, 0.5, 0.95) is None


def test_exceeding_is_counted_over_every_order_of_small_samples() -> None:
    n, others, errors, target = 4, 3, 1, 0.34
    above = 0
    orders = list(itertools.combinations(range(n + others), others))
    for places in orders:  # where the others stand, from the top
        mine = [at for at in range(n + others) if at not in places]
        threshold = mine[errors]  # the highest of mine that must stay below
        count = sum(at < threshold for at in places)
        above += count / others > target
    assert chance_of_exceeding(errors, n, others, target) == pytest.approx(above / len(orders))


def test_a_share_that_cannot_be_exceeded_is_not() -> None:
    assert chance_of_exceeding(0, 10, 10, 1.0) == 0
    assert chance_of_exceeding(0, 10, 0, 0.02) == 0


@pytest.mark.parametrize(("n", "target", "most"), [(280, 0.02, 5), (100, 0.07, 7), (3, 0.5, 1)])
def test_the_largest_count_within_a_share_is_exact(n: int, target: float, most: int) -> None:
    assert most_within(n, target) == most


def test_keeping_a_share_as_well_allows_fewer_errors() -> None:
    assert allowed_errors(280, 0.02, 0.95) == 1
    assert allowed_shares(280, 280, 0.02, 0.95) == 0
    assert allowed_shares(280, 10, 0.02, 0.95) == 0  # one of ten is above 2% already
    assert allowed_shares(280, 20, 0.02, 0.95) is None
    assert allowed_shares(149, 149, 0.02, 0.95) is None
    assert needed_trials(0.02, 0.95, shares=True) == 200


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.1, 0.5])
def test_the_bound_misses_the_true_rate_no_more_often_than_it_says(rate: float) -> None:
    n, confidence = 120, 0.95
    missing = sum(
        math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
        for k in range(n + 1)
        if upper_bound(k, n, confidence) < rate
    )
    assert missing <= 1 - confidence
    drawn = random.Random(4)
    runs = 2000
    observed = sum(
        upper_bound(sum(drawn.random() < rate for _ in range(n)), n, confidence) < rate
        for _ in range(runs)
    )
    assert observed / runs <= 1 - confidence + 3 * math.sqrt(0.05 * 0.95 / runs)
