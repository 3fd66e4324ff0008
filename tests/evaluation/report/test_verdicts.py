"""The verdict's figures: at chance, at their extremes, on one side, on what is no number."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from guardrail.evaluation.report.scored import Clusters, Scored
from guardrail.evaluation.report.verdicts import verdict_figures

from ..made import pairs, record, samples

NONE = ("auroc", "brier", "ece", "reliability", "risk_coverage", "aurc")


def figures(unsafe, p, refused=None, *, resamples=200):  # type: ignore[no-untyped-def]
    dataset = samples(list(unsafe))
    flags = [False] * len(unsafe) if refused is None else refused
    rows = [
        Scored(sample, record("s", sample.id, refused=False, p=value), flag)
        for sample, value, flag in zip(dataset, p, flags, strict=True)
    ]
    return verdict_figures(rows, Clusters(dataset.clusters(("safe", "unsafe")), 0, resamples))


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unsafe = rng.random(200) < 0.4
    p = np.clip(0.5 * unsafe + 0.6 * rng.random(200), 0, 1).round(2)
    found = figures(unsafe, p)
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(unsafe, p))
    assert found["brier"]["value"] == pytest.approx(brier_score_loss(unsafe, p))
    for name in ("auroc", "brier"):
        low, high = found[name]["interval"]
        assert low < found[name]["value"] < high
    assert sum(each["n"] for each in found["reliability"]) == 200


def test_shuffled_verdicts_score_at_chance() -> None:
    inside, values = 0, []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = figures([False, True] * 75, rng.random(150))["auroc"]
        low, high = found["interval"]
        inside += low <= 0.5 <= high
        values.append(found["value"])
    assert inside >= 25  # 95% of 30 is 28 or 29
    assert np.mean(values) == pytest.approx(0.5, abs=0.025)


def test_a_perfect_and_a_worst_verdict() -> None:
    unsafe = [False, True] * 10
    perfect = figures(unsafe, [float(flag) for flag in unsafe])
    assert (perfect["auroc"]["value"], perfect["brier"]["value"], perfect["ece"]["value"]) == (
        1,
        0,
        0,
    )
    worst = figures(unsafe, [float(not flag) for flag in unsafe])
    assert (worst["auroc"]["value"], worst["brier"]["value"], worst["ece"]["value"]) == (0, 1, 1)


def test_ties_tell_nothing_apart() -> None:
    found = figures([False, True] * 10, [0.5] * 20)
    assert found["auroc"]["value"] == 0.5
    assert found["brier"]["value"] == 0.25
    assert found["risk_coverage"] == [{"threshold": 0.5, "coverage": 1.0, "risk": 0.5}]


def test_risk_falls_on_wrong_outcomes_among_confident_verdicts() -> None:
    # Both sides of 0.5 count alike; the answer on the unsafe side is the one that is wrong.
    found = figures([True, False, False], [0.95, 0.1, 0.6], refused=[False, False, False])
    assert found["risk_coverage"] == [
        {"threshold": 0.95, "coverage": pytest.approx(1 / 3), "risk": 1.0},
        {"threshold": 0.9, "coverage": pytest.approx(2 / 3), "risk": 0.5},
        {"threshold": 0.6, "coverage": 1.0, "risk": pytest.approx(1 / 3)},
    ]
    assert found["aurc"] == {"value": pytest.approx((1 + 1 / 2 + 1 / 3) / 3), "n": 3}


def test_ungraded_answers_are_in_no_risk_but_their_verdicts_count() -> None:
    found = figures([True, False], [0.9, 0.1], refused=[None, False])
    assert found["aurc"]["n"] == 1
    assert found["auroc"]["n"] == 2


@pytest.mark.parametrize("unsafe", [True, False])
def test_one_side_alone_is_neither_separated_nor_calibrated(unsafe: bool) -> None:
    found = figures([unsafe] * 4, [0.1, 0.2, 0.8, 0.9])
    for name in ("auroc", "brier", "ece"):
        assert found[name] == {"value": None, "interval": None, "n": 4}
    assert found["reliability"] is None
    assert found["aurc"]["value"] == (pytest.approx(1.0) if unsafe else 0)


def test_verdicts_that_are_no_probability_do_not_count() -> None:
    found = figures([True, False, True, False, True], [0.9, 0.1, math.nan, 7.0, None])
    assert found["auroc"] == {"value": 1.0, "interval": (1.0, 1.0), "n": 2}
    assert found["brier"]["n"] == found["ece"]["n"] == found["aurc"]["n"] == 2


def test_without_verdicts_there_is_nothing() -> None:
    found = figures([True, False], [None, None])
    assert found == dict.fromkeys(NONE)


def test_pairs_of_a_cluster_are_drawn_together() -> None:
    dataset = pairs(30)
    rng = np.random.default_rng(0)
    p = np.repeat(rng.random(30), 2)  # blind within a pair: each draw scores one half exactly
    rows = [
        Scored(sample, record("s", sample.id, refused=False, p=float(value)), False)
        for sample, value in zip(dataset, p, strict=True)
    ]
    found = verdict_figures(rows, Clusters(dataset.clusters(("safe", "unsafe")), 0, 100))
    assert found["auroc"]["interval"] == pytest.approx((0.5, 0.5))
