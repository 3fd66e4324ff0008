"""Thresholds by order statistics: by hand, at their edges, and what they promise by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.evaluation.calibration.bounds import chance_of_at_most, chance_of_exceeding
from guardrail.evaluation.calibration.order import Bar, bar_above, bar_below

# 10% at 95% confidence: 29 scores allow no error, 46 allow one.
ONE_ALLOWED = [at / 100 for at in range(1, 47)]


def test_the_bar_lies_just_above_the_score_that_must_stay_below() -> None:
    bar = bar_above(ONE_ALLOWED, target=0.1, confidence=0.95)
    assert (bar.n, bar.allowed, bar.needed) == (46, 1, 29)
    assert bar.value == 0.4501  # of 0.46, 0.45, 0.44, … one may reach it
    assert bar.bound <= 0.1


def test_the_bar_below_lies_at_the_score_that_must_reach_it() -> None:
    bar = bar_below(ONE_ALLOWED, target=0.1, confidence=0.95)
    assert bar.value == 0.02  # 0.01 alone is below it
    assert bar.allowed == 1


def test_too_few_scores_give_no_bar_and_say_how_many_it_takes() -> None:
    bar = bar_above([0.1] * 28, target=0.1, confidence=0.95)
    assert (bar.value, bar.allowed, bar.needed) == (None, None, 29)
    assert bar.why == "there are 28, and it takes 29"
    assert bar_below([], target=0.1, confidence=0.95).value is None


def test_scores_at_one_or_unavailable_leave_no_threshold() -> None:
    stuck = bar_above([0.1] * 44 + [1.0, math.inf], target=0.1, confidence=0.95)
    assert stuck.value is None
    assert "2 of 46" in stuck.why
    lost = bar_below([0.9] * 44 + [-math.inf] * 2, target=0.1, confidence=0.95)
    assert lost.value is None
    assert "2 of 46" in lost.why


def test_as_many_unavailable_ones_as_may_go_wrong_are_borne() -> None:
    assert bar_above([0.1] * 45 + [math.inf], target=0.1, confidence=0.95).value == 0.1001


def test_ties_are_all_below_the_bar_or_all_above_it() -> None:
    scores = [0.1] * 40 + [0.7] * 6
    assert bar_above(scores, target=0.1, confidence=0.95).value == 0.7001
    assert bar_below(scores, target=0.1, confidence=0.95).value == 0.1


@pytest.mark.parametrize("score", [1 - 1e-12, 0.99999, 1e-9, 0.0, 5e-324])
def test_scores_near_the_ends_have_a_bar_between_them_and_the_end(score: float) -> None:
    above = bar_above([score] * 30, target=0.1, confidence=0.95).value
    assert above is not None
    assert score < above < 1
    below = bar_below([score] * 30, target=0.1, confidence=0.95).value
    assert below is not None
    assert 0 <= below <= score


@given(st.lists(st.floats(0, 1), min_size=29, max_size=120), st.sampled_from([0.1, 0.2, 0.4]))
def test_no_more_are_let_through_than_allowed(scores: list[float], target: float) -> None:
    above = bar_above(scores, target=target, confidence=0.95)
    assert above.allowed is not None
    if above.value is not None:
        assert sum(score >= above.value for score in scores) <= above.allowed
    below = bar_below(scores, target=target, confidence=0.95)
    assert below.value is not None
    assert below.allowed is not None
    assert sum(score < below.value for score in scores) <= below.allowed


@given(st.lists(st.floats(0.001, 0.999), min_size=46, max_size=46))
def test_the_two_bars_mirror_each_other(scores: list[float]) -> None:
    above = bar_above(scores, target=0.1, confidence=0.95).value
    below = bar_below([1 - score for score in scores], target=0.1, confidence=0.95).value
    assert above is not None
    assert below is not None
    assert above + below == pytest.approx(1, abs=2e-4)


def drawn_bars(
    bar: Callable[..., Bar], *, n: int, target: float, runs: int, others: int | None = None
) -> list[float]:
    """Thresholds fixed on `n` uniform scores each: their true rate is known."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(runs):
        value = bar(rng.random(n).tolist(), target=target, confidence=0.95, others=others).value
        assert value is not None
        found.append(value)
    return found


@pytest.mark.parametrize(("n", "target"), [(149, 0.02), (280, 0.02), (280, 0.1), (60, 0.05)])
def test_the_true_rate_is_above_the_target_in_five_of_a_hundred_at_most(
    n: int, target: float
) -> None:
    runs = 3000
    for bar, rate_of in ((bar_above, lambda t: 1 - t), (bar_below, lambda t: t)):
        broken = sum(rate_of(t) > target for t in drawn_bars(bar, n=n, target=target, runs=runs))
        allowed = bar([0.5] * n, target=target, confidence=0.95).allowed
        assert allowed is not None
        exact = chance_of_at_most(allowed, n, target)
        assert exact <= 0.05
        # Rounding to four decimals can only keep the target better.
        assert broken / runs <= exact + 3 * math.sqrt(exact * (1 - exact) / runs)
        assert broken > 0  # it is no bound by being useless


def test_a_map_that_was_fitted_to_the_same_scores_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(1500):
        scores = rng.random(60)
        bend = float(np.mean(scores)) * 8  # chosen by looking at them, and monotone
        bar = bar_above((scores**bend).tolist(), target=0.1, confidence=0.95)
        assert bar.value is not None
        broken += 1 - bar.value ** (1 / bend) > 0.1
    assert broken / 1500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)


@pytest.mark.parametrize("others", [None, 280])
def test_shares_of_as_many_others_exceed_as_often_as_chance_says(others: int | None) -> None:
    rng = np.random.default_rng(5)
    bars = drawn_bars(bar_above, n=280, target=0.02, runs=2000, others=others)
    shares = [float((rng.random(280) >= value).mean()) for value in bars]
    observed = sum(share > 0.02 for share in shares) / len(shares)
    expected = chance_of_exceeding(1 if others is None else 0, 280, 280, 0.02)
    assert observed == pytest.approx(expected, abs=4 * math.sqrt(expected / len(shares)))
    if others is not None:
        assert expected <= 0.05
