"""The arms: each does its own thing and nothing else, and says how a policy file asks for it."""

import pytest

from guardrail.evaluation.calibration import steering_arms as grid
from guardrail.evaluation.calibration.fit import changed
from guardrail.evaluation.systems import bias
from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.verdict import Verdict

BASELINE = load_policy("baseline")
STRICT = load_policy("strict")
BELIEVED = [Verdict({each.id: p for each in STRICT.categories}) for p in (0.0, 0.5, 1.0)]
BELIEVED.append(Verdict.unavailable("the judge failed"))


@pytest.mark.parametrize("policy", [BASELINE, STRICT], ids=["baseline", "strict"])
@pytest.mark.parametrize("verdict", BELIEVED[:3], ids=["safe", "uncertain", "unsafe"])
def test_biases_and_contrast_go_by_no_verdict(policy: Policy, verdict: Verdict) -> None:
    for arm in (*grid.biases(policy), *grid.contrasts(policy)):
        assert arm.system.way is bias.unjudged  # nor does a judge that fails change anything
    for arm in grid.biases(policy):
        assert decide(arm.system.policy, verdict).action == "comply"
        assert arm.system.policy.contrast.when == "never"
        assert arm.system.policy.modulation.scale == "fixed"
    for arm in grid.contrasts(policy):
        assert decide(arm.system.policy, verdict).action == "plain"
        assert arm.system.policy.contrast.when == "always"
        assert arm.system.policy.modulation.form == "off"


def test_changes_make_the_policy_contrast_as_the_arm_did() -> None:
    arms = grid.contrasts(BASELINE)
    seen = set()
    for arm in arms:
        asked, measured = changed(BASELINE, arm.changes).contrast, arm.system.policy.contrast
        seen.add((asked.form, asked.counterfactual, asked.noise_std, asked.alpha))
        assert asked == measured.model_copy(update={"when": asked.when})
        assert asked.when == BASELINE.contrast.when
    assert len(seen) == len(arms) == len(grid.COUNTERFACTUALS) * 3
    never = BASELINE.model_copy(
        update={"contrast": BASELINE.contrast.model_copy(update={"when": "never"})}
    )
    assert changed(never, grid.contrasts(never)[0].changes).contrast.when == "at-stake"


def test_the_weakest_comes_first() -> None:
    suppressed = [arm.system.policy.modulation.suppress for arm in grid.biases(BASELINE)]
    alphas = [arm.system.policy.contrast.alpha for arm in grid.contrasts(BASELINE)]
    assert suppressed == sorted(suppressed)
    assert alphas == sorted(alphas)
    assert grid.none(BASELINE).system.mode == "off"


def test_modulations_decide_as_the_policy_and_differ_in_strength_alone() -> None:
    own = grid.as_it_is(STRICT)
    arms = grid.modulations(STRICT)
    assert own.system.policy.modulation == STRICT.modulation
    for arm in arms:
        for verdict in BELIEVED:
            assert decide(arm.system.policy, verdict).action == decide(STRICT, verdict).action
        assert changed(STRICT, arm.changes).modulation == arm.system.policy.modulation
        assert arm.system.policy.modulation != STRICT.modulation
        assert arm.system.policy.contrast == STRICT.contrast


def test_systems_of_other_policies_have_other_names() -> None:
    names = [arm.system.name for policy in (BASELINE, STRICT) for arm in
             (*grid.biases(policy), *grid.contrasts(policy), grid.as_it_is(policy),
              *grid.modulations(policy))]  # fmt: skip
    assert len(set(names)) == len(names)
