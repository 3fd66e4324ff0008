"""Brier score, calibration and risk against values worked out by hand and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from guardrail.evaluation.probabilities import (
    area_under_risk,
    expected_calibration_error,
    log_losses,
    reliability,
    risk_coverage,
    squared_errors,
    thinned,
)


def made(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.random(n).round(2)  # with ties, and on the edges of bins
    return p, rng.random(n) < p**1.5


def test_squared_errors_by_hand() -> None:
    found = squared_errors(np.array([0.9, 0.2, 0.5]), np.array([True, False, False]))
    assert found == pytest.approx([0.01, 0.04, 0.25])


@pytest.mark.parametrize("seed", range(5))
def test_brier_is_scikit_learns(seed: int) -> None:
    p, positive = made(seed)
    assert squared_errors(p, positive).mean() == pytest.approx(brier_score_loss(positive, p))


def test_log_losses_by_hand_and_finite_of_certainties() -> None:
    found = log_losses(np.array([0.5, 0.25, 0.25]), np.array([True, True, False]))
    assert found == pytest.approx([math.log(2), math.log(4), -math.log(0.75)])
    certain = log_losses(np.array([0.0, 1.0]), np.array([True, True]))
    assert certain == pytest.approx([-math.log(1e-6), 0], abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_log_loss_is_scikit_learns(seed: int) -> None:
    p, positive = made(seed)
    held = np.clip(p, 1e-6, 1 - 1e-6)
    assert log_losses(p, positive).mean() == pytest.approx(log_loss(positive, held))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 7, 10])
def test_the_reliability_curve_is_scikit_learns(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(500)  # no value on an edge: there scikit-learn's bins are closed above
    positive = rng.random(500) < p**1.5
    curve = [each for each in reliability(p, positive, bins=bins) if each.n]
    true, mean = calibration_curve(positive, p, n_bins=bins)
    assert [each.share for each in curve] == pytest.approx(list(true))
    assert [each.mean_p for each in curve] == pytest.approx(list(mean))
    assert sum(each.n for each in curve) == 500


def test_bins_by_hand() -> None:
    p = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    curve = reliability(p, np.array([False, True, False, True, True]))
    assert [each.n for each in curve] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (curve[0].low, curve[0].high) == (0.0, 0.1)
    assert curve[0].mean_p == pytest.approx(0.025)
    assert curve[0].share == 0.5
    assert curve[0].interval[0] < 0.5 < curve[0].interval[1]
    assert (curve[2].mean_p, curve[2].share, curve[2].interval) == (None, None, (0.0, 1.0))
    assert curve[0].to_json() == {
        "low": 0.0,
        "high": 0.1,
        "n": 2,
        "mean_p": pytest.approx(0.025),
        "share": 0.5,
        "interval": list(curve[0].interval),
    }
    # 2/5 * |0.025 - 0.5| + 1/5 * |0.1 - 0| + 2/5 * |0.975 - 1|
    assert expected_calibration_error(curve) == pytest.approx(0.19 + 0.02 + 0.01)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    p, positive = np.array([0.0, 1.0, 1.0]), np.array([False, True, True])
    assert expected_calibration_error(reliability(p, positive)) == 0
    assert squared_errors(p, positive).mean() == 0
    assert expected_calibration_error(reliability(p, ~positive)) == 1
    assert squared_errors(p, ~positive).mean() == 1


def test_true_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(40_000)
    curve = reliability(p, rng.random(40_000) < p)
    error = expected_calibration_error(curve)
    assert error is not None
    assert error < 0.01
    inside = [each.interval[0] <= each.mean_p <= each.interval[1] for each in curve if each.mean_p]
    assert sum(inside) >= 8


def test_nothing_has_no_calibration_error() -> None:
    empty = np.array([]), np.array([], dtype=bool)
    assert expected_calibration_error(reliability(*empty)) is None
    assert area_under_risk(risk_coverage(*empty)) is None


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1, math.inf])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    for measure in (squared_errors, log_losses, reliability):
        with pytest.raises(ValueError, match="from 0 to 1"):
            measure(np.array([0.5, bad]), np.array([True, False]))  # type: ignore[operator]


def test_risk_and_coverage_by_hand() -> None:
    confidence = np.array([0.6, 0.9, 0.9, 0.7])
    curve = risk_coverage(confidence, np.array([True, False, True, False]))
    assert [(each.threshold, each.coverage, each.risk) for each in curve] == [
        (0.9, 0.5, 0.5),  # the two of one confidence enter together
        (0.7, 0.75, pytest.approx(1 / 3)),
        (0.6, 1.0, 0.5),
    ]
    assert area_under_risk(curve) == pytest.approx(0.5 * 0.5 + 0.25 / 3 + 0.25 * 0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_the_curve_counts_whatever_is_at_least_so_confident(rows: list[tuple[int, bool]]) -> None:
    confidence = np.array([float(level) for level, _ in rows])
    curve = risk_coverage(confidence, np.array([wrong for _, wrong in rows]))
    for point in curve:
        kept = [wrong for level, wrong in rows if level >= point.threshold]
        assert point.coverage == pytest.approx(len(kept) / len(rows))
        assert point.risk == pytest.approx(sum(kept) / len(kept))
    assert curve[-1].coverage == 1
    area = area_under_risk(curve)
    assert area is not None
    assert -1e-9 <= area <= 1 + 1e-9


def test_errors_that_are_the_least_confident_cost_least() -> None:
    confidence = np.linspace(0.5, 1, 10)
    late, early = np.arange(10) < 3, np.arange(10) >= 7
    best = area_under_risk(risk_coverage(confidence, late))
    worst = area_under_risk(risk_coverage(confidence, early))
    assert best is not None
    assert worst is not None
    assert best < 0.3 < worst  # 0.3 is the risk of all


def test_confidence_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        risk_coverage(np.array([math.nan]), np.array([True]))


def test_a_thinned_curve_keeps_its_ends() -> None:
    curve = risk_coverage(np.linspace(0, 1, 1000), np.zeros(1000, dtype=bool))
    short = thinned(curve, points=20)
    assert len(short) == 20
    assert (short[0], short[-1]) == (curve[0], curve[-1])
    assert thinned(short, points=50) == short
