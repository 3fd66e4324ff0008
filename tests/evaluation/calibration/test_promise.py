"""The promise over many splits, and the seam that other fits use."""

import math
import random
from typing import Any

import numpy as np
import pytest

from guardrail.evaluation.calibration import (
    Evidence,
    Fitted,
    Split,
    Target,
    calibrate,
    fit_all,
    fits_for,
    promise,
)
from guardrail.policy import Policy
from guardrail.policy.calibration import uncalibrate

from .evidence_made import both, evidence, policy

TARGET = Target("wrong_refusals", 0.1)


def drawn(n: int = 400, *, seed: int = 0) -> Evidence:
    rng = random.Random(seed)
    safe = [rng.betavariate(1, 4) for _ in range(n)]
    return evidence(safe, [rng.betavariate(4, 1) for _ in range(n)])


def test_a_calibration_keeps_its_promise_on_the_other_part() -> None:
    fits = fits_for([TARGET], confidence=0.95)
    found = promise(policy(), drawn(), fits, targets=[TARGET], confidence=0.95, repeats=40)
    counted = found["targets"]["wrong_refusals"]
    assert (found["repeats"], found["fitted"]) == (40, 40)
    assert counted["kept"] + counted["broken"] == 40
    assert counted["kept"] >= 38
    assert len(counted["shares"]) == 40
    assert 0 < counted["mean"] <= 0.1
    assert counted["exceeded"] == sum(share > 0.1 for share in counted["shares"])


def test_true_rates_are_kept_through_judge_and_thresholds() -> None:
    """Safe requests have p = u * u, unsafe ones 1 - u * u: what is beyond a threshold is known."""
    rng, runs, n = np.random.default_rng(8), 150, 64
    targets = (TARGET, Target("wrong_answers", 0.1))
    fits = fits_for(targets, confidence=0.95)
    broken, calibrated = {"wrong_refusals": 0, "wrong_answers": 0}, 0
    for _ in range(runs):
        safe, unsafe = rng.random(n) ** 2, 1 - rng.random(n) ** 2
        found = fit_all(policy(), both(evidence(safe.tolist(), unsafe.tolist())), fits)
        fitted = found.policy.judge.calibration
        calibrated += fitted is not None
        high, low = found.policy.verdict.unsafe_at, found.policy.verdict.safe_below
        if fitted is not None:
            high, low = (uncalibrate(p, scale=fitted.scale, bias=fitted.bias) for p in (high, low))
        broken["wrong_refusals"] += 1 - math.sqrt(high) > 0.1
        broken["wrong_answers"] += 1 - math.sqrt(1 - low) > 0.1
    assert 10 < calibrated < runs  # with and without scale and bias
    for count in broken.values():
        assert count / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


class Blind:
    """A calibration that promises and does nothing: labels are not what it thinks."""

    name = "thresholds"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        bar = {"allowed": 1, "n": 100}
        return Fitted({"verdict": {"unsafe_at": 0.1, "safe_below": 0.1}},
                      {"targets": {"wrong_refusals": bar}})  # fmt: skip


def test_a_broken_promise_is_counted_as_one() -> None:
    found = promise(policy(), drawn(), [Blind()], targets=[TARGET], confidence=0.95, repeats=5)
    counted = found["targets"]["wrong_refusals"]
    assert (counted["kept"], counted["broken"], counted["exceeded"]) == (0, 5, 5)
    assert counted["exceeded_by_chance"] < 1


def test_splits_with_too_few_are_counted_apart() -> None:
    fits = fits_for([TARGET], confidence=0.95)
    found = promise(policy(), drawn(20), fits, targets=[TARGET], confidence=0.95, repeats=3)
    assert found["fitted"] == 0
    assert found["targets"]["wrong_refusals"]["worst"] is None


class Steps:
    """Another thing to fit, as anybody may add it."""

    name = "steps"

    def __init__(self) -> None:
        self.saw: list[float] = []

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        self.saw.append(policy.verdict.unsafe_at)
        return Fitted({"contrast": {"guided_steps": 3}}, {"gain": 0.1}, ("fitted",))


def test_another_fit_sees_what_the_earlier_ones_changed_and_adds_its_own() -> None:
    steps = Steps()
    fits = (*fits_for([TARGET], confidence=0.95), steps)
    found = fit_all(policy(), both(drawn()), fits)
    assert steps.saw == [found.changes["verdict"]["unsafe_at"]]
    assert found.policy.contrast.guided_steps == 3
    assert found.changes["contrast"] == {"guided_steps": 3}
    assert list(found.parts) == ["judge", "thresholds", "steps"]
    assert found.notes[-1] == "fitted"


def test_the_report_measures_on_the_part_that_was_not_fitted() -> None:
    fits = fits_for([TARGET], confidence=0.95)
    evidence = drawn()
    calibrated, figures = calibrate(
        policy(), evidence, fits, targets=[TARGET], confidence=0.95, seed=1
    )
    parts = figures["split"]
    assert parts["fitted"]["requests"] + parts["held_out"]["requests"] == len(evidence)
    assert figures["after"]["wrong_refusals"]["n"] == parts["held_out"]["safe"]
    assert figures["promises"]["wrong_refusals"]["clusters"]["n"] == parts["held_out"]["safe"]
    assert figures["changes"] == calibrated.changes


def test_a_calibration_that_fails_has_no_after() -> None:
    fits = fits_for([TARGET], confidence=0.95)
    calibrated, figures = calibrate(
        policy(), drawn(20), fits, targets=[TARGET], confidence=0.95, seed=1
    )
    assert calibrated.failures
    assert figures["after"] is None
    assert figures["changes"] is None
    assert figures["failures"] == list(calibrated.failures)


@pytest.mark.parametrize("changes", [{}, {"verdict": {}}])
def test_changing_nothing_leaves_the_policy(changes: dict[str, Any]) -> None:
    from guardrail.evaluation.calibration.fit import changed

    assert changed(policy(), changes).digest == policy().digest
