"""The statistics against values worked out by hand or published."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from guardrail.evaluation.metrics import (
    Share,
    auroc,
    bootstrap,
    percentiles,
    resampled,
    rounded,
    wilson,
)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # Newcombe (1998), "Two-sided confidence intervals for the single proportion", method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(count: int, n: int, low: float, high: float) -> None:
    assert wilson(count, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_interval_by_hand() -> None:
    # z = 2, 5 of 10: centre (0.5 + 0.2) / 1.4 = 0.5, half 2 / 1.4 * sqrt(0.025 + 0.01).
    half = 2 / 1.4 * math.sqrt(0.035)
    assert wilson(5, 10, z=2) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_the_share_and_mirrors(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    low, high = wilson(count, n)
    assert 0 <= low <= count / n <= high <= 1
    assert wilson(n - count, n) == (pytest.approx(1 - high), pytest.approx(1 - low))


@given(st.integers(1, 2000), st.data())
def test_wilson_interval_is_statsmodels(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    assert wilson(count, n) == pytest.approx(proportion_confint(count, n, method="wilson"))


def test_nothing_is_known_of_no_requests() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert Share(0, 0).value is None


@pytest.mark.parametrize(("count", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError, match="count is"):
        wilson(count, n)


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.75),  # 3 of 4 pairs in order
        ([1, 2, 3, 4], [False, False, True, True], 1.0),
        ([4, 3, 2, 1], [False, False, True, True], 0.0),
        ([5, 5, 5, 5], [False, True, False, True], 0.5),  # a tie is half a win
        ([1, 2, 2, 3], [False, False, True, True], 0.875),  # 3.5 of 4
        ([1, 2], [True, True], None),
    ],
)
def test_auroc_counts_pairs_in_order(
    scores: list[float], positive: list[bool], expected: float | None
) -> None:
    assert auroc(np.array(scores), np.array(positive)) == expected


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    ups = [score for score, positive in rows if positive]
    downs = [score for score, positive in rows if not positive]
    wins = [(up > down) + 0.5 * (up == down) for up in ups for down in downs]
    expected = pytest.approx(sum(wins) / len(wins)) if wins else None
    scores = np.array([score for score, _ in rows], dtype=float)
    assert auroc(scores, np.array([positive for _, positive in rows])) == expected


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.random(300).round(1), rng.random(300) < 0.3
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_auroc_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        auroc(np.array([0.1, math.nan]), np.array([True, False]))


def test_resamples_draw_as_many_clusters_as_there_are_and_repeat_by_seed() -> None:
    counts = resampled(7, seed=3, resamples=50)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == resampled(7, seed=3, resamples=50)).all()
    assert (counts != resampled(7, seed=4, resamples=50)).any()


def test_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.array([0.0, 1.0] * 50)
    counts = resampled(len(values), seed=0, resamples=4000)
    found = bootstrap(lambda drawn: float(drawn @ values) / len(values), counts)
    half = 1.96 * 0.5 / math.sqrt(len(values))
    assert found == (pytest.approx(0.5 - half, abs=0.01), pytest.approx(0.5 + half, abs=0.01))


def test_undefined_resamples_do_not_count() -> None:
    assert percentiles(np.array([math.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert percentiles(np.array([math.nan])) is None
    assert bootstrap(lambda drawn: None, resampled(3, seed=0, resamples=5)) is None


def test_rounding_leaves_plain_json() -> None:
    given_ = {"a": (0.123456, None), "b": [math.nan, 3], "c": True, "d": "x"}
    assert rounded(given_) == {"a": [0.1235, None], "b": [None, 3], "c": True, "d": "x"}


def test_rounding_keeps_tiny_p_values_and_drops_noise() -> None:
    assert rounded([1.23456e-7, 0.00123456, 5.5e-17, -2e-5, 0.0]) == [
        1.23e-7,
        0.0012,
        0.0,
        -2e-5,
        0.0,
    ]
