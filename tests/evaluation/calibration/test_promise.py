"""The promise over many splits, and the seam that other fits use."""

import random
from typing import Any

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
