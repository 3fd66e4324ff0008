"""Platt scaling: the optimum by its slope, known parameters found again, and what has none."""

import math

import numpy as np
import pytest

from guardrail.evaluation.calibration.platt import fit_platt, logits
from guardrail.policy.calibration import calibrate


def test_probabilities_are_held_as_the_policy_holds_them() -> None:
    for p in (0.0, 1e-9, 0.2, 0.9, 1.0):
        assert 1 / (1 + math.exp(-logits(np.array([p]))[0])) == pytest.approx(
            calibrate(p, scale=1, bias=0), rel=1e-9
        )


def test_two_points_a_side_are_fitted_as_by_hand() -> None:
    # Two values of logit -1 and +1; of four each, one and three are positive. By symmetry the bias
    # is 0, and sigmoid(scale) is the mean target at +1: (3 * 5/6 + 1/6) / 4 = 2/3.
    low, high = 1 / (1 + math.e), math.e / (1 + math.e)
    p = np.array([low] * 4 + [high] * 4)
    positive = np.array([True, False, False, False, True, True, True, False])
    found = fit_platt(p, positive)
    assert found is not None
    scale, bias = found
    assert scale == pytest.approx(math.log(2), abs=1e-8)
    assert bias == pytest.approx(0, abs=1e-8)


def test_the_slope_is_zero_where_it_ends() -> None:
    rng = np.random.default_rng(0)
    p, positive = rng.random(300), rng.random(300) < 0.3
    found = fit_platt(p, positive)
    assert found is not None
    ups, downs = int(positive.sum()), int((~positive).sum())
    wanted = np.where(positive, (ups + 1) / (ups + 2), 1 / (downs + 2))
    x = np.log(p / (1 - p))
    off = 1 / (1 + np.exp(-(found[0] * x + found[1]))) - wanted
    assert abs(off.sum()) < 1e-6
    assert abs((off * x).sum()) < 1e-6


def test_known_parameters_are_found_again() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, 40_000)
    positive = rng.random(x.size) < 1 / (1 + np.exp(-(0.6 * x - 0.8)))
    found = fit_platt(1 / (1 + np.exp(-x)), positive)
    assert found is not None
    assert found[0] == pytest.approx(0.6, abs=0.03)
    assert found[1] == pytest.approx(-0.8, abs=0.05)


def test_sides_that_do_not_overlap_have_a_finite_optimum() -> None:
    found = fit_platt(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert found is not None
    assert 0 < found[0] < 100
    assert np.isfinite(found).all()


def test_a_judge_that_has_it_backwards_gets_a_negative_scale() -> None:
    found = fit_platt(np.array([0.1, 0.2, 0.8, 0.9]), np.array([True, True, False, False]))
    assert found is not None
    assert found[0] < 0


@pytest.mark.parametrize(
    ("p", "positive"),
    [
        ([0.2, 0.4], [True, True]),
        ([0.2, 0.4], [False, False]),
        ([0.3, 0.3], [True, False]),
        ([], []),
    ],
)
def test_one_side_or_one_probability_cannot_be_fitted(p: list[float], positive: list[bool]) -> None:
    assert fit_platt(np.array(p, dtype=float), np.array(positive, dtype=bool)) is None


def test_it_is_what_an_independent_library_finds() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(2)
    p = rng.random(4000)
    positive = rng.random(4000) < p**2
    found = fit_platt(p, positive)
    assert found is not None
    theirs = linear_model.LogisticRegression(C=1e9, tol=1e-10).fit(logits(p)[:, None], positive)
    assert found[0] == pytest.approx(float(theirs.coef_[0, 0]), abs=0.01)
    assert found[1] == pytest.approx(float(theirs.intercept_[0]), abs=0.01)
