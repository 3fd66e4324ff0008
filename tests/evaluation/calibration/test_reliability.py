"""Reliability figures against sums by hand."""

import math

import numpy as np
import pytest

from guardrail.evaluation.calibration.reliability import gain, log_losses, reliability


def test_figures_are_those_by_hand() -> None:
    found = reliability(np.array([0.1, 0.3, 0.35, 0.9]), np.array([False, False, True, True]))
    assert found["brier"] == pytest.approx((0.01 + 0.09 + 0.4225 + 0.01) / 4)
    losses = [math.log(0.9), math.log(0.7), math.log(0.35), math.log(0.9)]
    assert found["log_loss"] == pytest.approx(-sum(losses) / 4)
    # Bins: 0.1 alone (0 of 1), 0.3 and 0.35 (1 of 2, believed 0.325), 0.9 alone (1 of 1).
    assert found["ece"] == pytest.approx((0.1 + 2 * 0.175 + 0.1) / 4)
    assert [(each["n"], each["value"]) for each in found["curve"]] == [(1, 0), (2, 0.5), (1, 1)]
    assert found["n"] == 4


def test_certain_probabilities_have_a_finite_loss_and_a_bin() -> None:
    found = reliability(np.array([0.0, 1.0]), np.array([True, True]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-6) / 2, rel=1e-3)
    assert found["curve"][-1]["to"] == 1.0


def test_of_nothing_there_is_no_figure() -> None:
    found = reliability(np.array([]), np.array([], dtype=bool))
    assert found == {"log_loss": None, "brier": None, "ece": None, "n": 0, "curve": []}


def test_calibrated_probabilities_have_a_small_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    assert reliability(p, rng.random(p.size) < p)["ece"] < 0.01
    assert reliability(p, rng.random(p.size) < 0.5)["ece"] > 0.2


def test_a_gain_has_its_mean_and_an_interval_over_clusters() -> None:
    before = np.array([1.0, 1.0, 2.0, 2.0])
    value, (low, high) = gain(before, before - 0.25, np.array([0, 0, 1, 1]))
    assert (value, low, high) == pytest.approx((0.25, 0.25, 0.25))
    losses = log_losses(np.array([0.5, 0.5]), np.array([True, False]))
    assert losses == pytest.approx([math.log(2)] * 2)
    value, (low, high) = gain(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([0, 1]))
    assert value == 0
    assert (low, high) == (-1, 1)
