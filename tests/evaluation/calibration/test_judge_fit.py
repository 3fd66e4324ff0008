"""Scale and bias: fitted on one part, and kept only where they help on the other."""

import numpy as np
import pytest

from guardrail.evaluation.calibration import Evidence, split
from guardrail.evaluation.calibration.judge_fit import JudgeFit
from guardrail.policy import Policy

from .evidence_made import both, evidence, judged, policy


def drawn(n: int, *, scale: float, bias: float, seed: int = 0) -> Evidence:
    """Requests whose true probability is sigmoid(scale * logit(p) + bias)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, n)
    true = 1 / (1 + np.exp(-(scale * x + bias)))
    sides = np.where(rng.random(n) < true, "unsafe", "safe")
    p = 1 / (1 + np.exp(-x))
    return Evidence(tuple(judged(at, str(sides[at]), float(p[at])) for at in range(n)))


def test_an_overconfident_judge_is_calibrated() -> None:
    found = JudgeFit()(policy(), split(drawn(3000, scale=0.4, bias=0.5), seed=0))
    calibration = found.changes["judge"]["calibration"]
    assert calibration["scale"] == pytest.approx(0.4, abs=0.06)
    assert calibration["bias"] == pytest.approx(0.5, abs=0.15)
    figures = found.figures
    assert figures["kept"]
    assert figures["after"]["log_loss"] < figures["before"]["log_loss"]
    assert figures["after"]["ece"] < figures["before"]["ece"]
    assert figures["gain"]["interval"][0] > 0
    assert figures["gain"]["value"] == pytest.approx(
        figures["before"]["log_loss"] - figures["after"]["log_loss"]
    )


def test_a_calibrated_judge_is_left_as_it_is() -> None:
    found = JudgeFit()(policy(), split(drawn(800, scale=1, bias=0, seed=1), seed=0))
    assert found.changes == {}
    assert not found.figures["kept"]
    assert found.figures["after"] == found.figures["before"]
    assert "not shown to help" in found.notes[0]


def test_a_calibrated_judge_is_seldom_taken_for_another() -> None:
    parts = [split(drawn(300, scale=1, bias=0, seed=seed), seed=0) for seed in range(40)]
    assert sum(JudgeFit()(policy(), each).figures["kept"] for each in parts) <= 4


def test_what_is_fitted_replaces_a_calibration_and_does_not_pile_on_it() -> None:
    parts = split(drawn(3000, scale=0.4, bias=0.5), seed=0)
    fresh = JudgeFit()(policy(), parts)
    wrong = policy(judge={"calibration": {"scale": 3.0, "bias": -1.0}})
    assert JudgeFit()(wrong, parts).changes == fresh.changes
    right = policy(judge=dict(fresh.changes["judge"]))
    assert JudgeFit()(right, parts).changes == {}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (evidence([0.1, 0.2, 0.3]), "it takes both labels"),
        (evidence([], [0.1, 0.9]), "it takes both labels"),
        (evidence([0.5] * 5, [0.5] * 5), "more than one probability"),
        (evidence([None] * 5, [None] * 5), "it takes both labels"),
        (evidence([0.8, 0.9] * 9, [0.1, 0.2] * 9), "do not rise with the label"),
    ],
)
def test_what_cannot_be_fitted_is_left_out_and_said(part: Evidence, said: str) -> None:
    found = JudgeFit()(policy(), both(part))
    assert found.changes == {}
    assert found.failures == ()
    assert said in found.notes[0]


def test_a_part_without_a_verdict_to_measure_on_keeps_nothing() -> None:
    parts = both(evidence([0.1, 0.3] * 20, [0.6, 0.9] * 20))
    found = JudgeFit()(policy(), type(parts)(parts.fitted, evidence([None], [None])))
    assert found.changes == {}
    assert "nothing to measure it on" in found.notes[0]


def test_the_highest_category_is_what_is_fitted() -> None:
    two: Policy = policy(categories=("harm", "offence"))
    rows = tuple(
        judged(at, side, {"harm": 0.01, "offence": p})
        for at, (side, p) in enumerate([("safe", 0.2), ("unsafe", 0.7), ("safe", 0.4)] * 20)
    )
    one = tuple(
        judged(at, each.sample.side, each.categories["offence"]) for at, each in enumerate(rows)
    )
    measured = [
        JudgeFit()(each, both(Evidence(part))).figures
        for each, part in ((two, rows), (policy(), one))
    ]
    assert measured[0] == measured[1]
