"""Which steering stays: only what is shown to help, over nothing and over a constant bias."""

from typing import Any

import numpy as np
import pytest

from guardrail.evaluation.calibration import ContrastFit, ModulationFit
from guardrail.evaluation.calibration.fit import changed
from guardrail.policy import Policy, load_policy

from .steering_made import Model, pairs, parts

BASELINE = load_policy("baseline")
PAIRS = 120
NEVER = {"contrast": {"when": "never"}}


def strength_of(arm: str) -> float:
    return float(arm.split()[-1])


def as_a_bias(arm: str, unsafe: Any, rng: Any) -> Any:
    """Contrast that is a bias with noise of its own: it does not go by the label."""
    if arm.startswith("bias"):
        return np.full(len(unsafe), -strength_of(arm))
    if "alpha" in arm:
        return rng.normal(-strength_of(arm), 0.7, len(unsafe))
    return np.zeros(len(unsafe))


def without_effect(arm: str, unsafe: Any, rng: Any) -> Any:
    """Nothing but noise comes of anything."""
    return rng.normal(0, 0.7, len(unsafe)) if arm != "none" else np.zeros(len(unsafe))


def by_the_picture(arm: str, unsafe: Any, rng: Any) -> Any:
    """Contrast with grey goes by the label; all else is as above."""
    if "grey" in arm:
        return np.where(unsafe, 1.0, -1.0) * strength_of(arm)
    return as_a_bias(arm, unsafe, rng)


def fitted(
    adds: Any, seed: int, *, policy: Policy = BASELINE, count: int = PAIRS, **how: Any
) -> Any:
    evidence = pairs(count)
    return ContrastFit(Model(evidence, adds, seed, **how))(policy, parts(evidence, seed))


@pytest.mark.parametrize("adds", [as_a_bias, without_effect])
@pytest.mark.parametrize("offset", [0.0, 1.0], ids=["in the middle", "refuses too much"])
def test_contrast_without_signal_is_switched_off_in_95_of_100_sets(
    adds: Any, offset: float
) -> None:
    found = [fitted(adds, seed, offset=offset) for seed in range(100)]
    assert sum(each.changes == NEVER for each in found) >= 95
    assert any(each.figures["over_none"]["value"] > 0 for each in found)


def test_contrast_that_goes_by_the_picture_is_kept() -> None:
    found = [fitted(by_the_picture, seed) for seed in range(40)]
    kept = [each for each in found if each.figures["kept"]]
    assert len(kept) >= 38
    for each in kept:
        assert each.changes["contrast"]["counterfactual"] == "grey"
        assert changed(BASELINE, each.changes).contrast.alpha == each.changes["contrast"]["alpha"]
        assert each.figures["over_bias"]["interval"][0] > 0
        assert each.figures["over_none"]["interval"][0] > 0
        assert "contrast stays: on the held-out part default grey" in each.notes[0]


def test_a_bias_that_does_as_much_switches_contrast_off() -> None:
    def alike(arm: str, unsafe: Any, rng: Any) -> Any:
        return np.zeros(len(unsafe)) if arm == "none" else np.full(len(unsafe), -2.0)

    found = fitted(alike, 0, apart=1.5, offset=2.0)
    assert found.figures["over_none"]["interval"][0] > 0
    assert found.figures["over_bias"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert found.changes == NEVER


def test_the_fitted_part_chooses_and_the_held_out_part_sees_the_chosen_alone() -> None:
    evidence = pairs(PAIRS)
    model = Model(evidence, by_the_picture, 0)
    split = parts(evidence, 0)
    found = ContrastFit(model)(BASELINE, split)
    assert len(split.fitted) + len(split.held_out) == 2 * PAIRS
    held = [arm for what, arm, _ in model.asked if "held out" in what]
    assert held == ["none", found.figures["bias"], found.figures["best"]]
    assert set(found.figures["held_out"]) == set(held)
    assert len(found.figures["fitted"]) == 17


def test_too_few_are_said_to_be_and_contrast_is_off() -> None:
    found = fitted(by_the_picture, 0, count=30)
    assert found.changes == NEVER
    assert (
        "has 15 clusters with safe and 15 with unsafe requests, and it takes 20" in found.notes[0]
    )


def test_what_is_off_already_is_not_changed_and_no_steps_are_not_fitted() -> None:
    never = changed(BASELINE, NEVER)
    assert fitted(as_a_bias, 0, policy=never).changes == {}
    stepless = changed(BASELINE, {"contrast": {"guided_steps": 0}})
    found = fitted(as_a_bias, 0, policy=stepless)
    assert (found.changes, found.figures) == ({}, {})
    assert "guided_steps is 0" in found.notes[0]


def modulated(adds: Any, seed: int, policy: Policy = BASELINE) -> Any:
    evidence = pairs(PAIRS)
    return ModulationFit(Model(evidence, adds, seed))(policy, parts(evidence, seed))


def test_modulation_without_a_better_strength_is_left_as_it_is() -> None:
    found = [modulated(without_effect, seed) for seed in range(100)]
    assert sum(each.changes == {} for each in found) >= 95
    assert all("is left as it is" in each.notes[0] for each in found if not each.changes)


def test_modulation_takes_a_strength_that_is_shown_to_do_better() -> None:
    def fixed_is_better(arm: str, unsafe: Any, rng: Any) -> Any:
        return np.where(unsafe, 1.0, -1.0) * (2.0 if arm == "16 fixed" else 0.0)

    found = modulated(fixed_is_better, 0)
    said = {"boost": 16.0, "suppress": 16.0, "scale": "fixed"}
    assert found.changes == {"modulation": said}
    assert found.figures["gain"]["interval"][0] > 0


def test_only_the_phrase_form_is_fitted() -> None:
    paper = changed(BASELINE, {"modulation": {"form": "paper"}})
    assert modulated(without_effect, 0, paper).changes == {}
    assert "only form phrase" in modulated(without_effect, 0, paper).notes[0]
