"""The arms that steering is fitted among: none, a constant bias, contrast, and modulation.

Each is a policy that does that and nothing else, so that what is measured is its own. It runs
nothing and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from guardrail.evaluation.systems import System, bias
from guardrail.evaluation.systems.acting import acting
from guardrail.policy import Policy

COUNTERFACTUALS: tuple[Mapping[str, Any], ...] = (
    {"counterfactual": "noise", "noise_std": 0.1},
    {"counterfactual": "noise", "noise_std": 0.5},
    {"counterfactual": "grey"},
    {"counterfactual": "mean"},
)
ALPHAS: Mapping[str, tuple[float, ...]] = {"default": (1.0, 3.0), "paper": (0.3,)}
"""By form; near 1, the paper's takes away all that there is."""

BIASES = (0.5, 1.0, 2.0, 4.0)
"""Nats taken from refusals, whatever is asked."""

STRENGTHS = (4.0, 16.0)
"""Nats that modulation adds to refusals, or takes from them, as the verdict says."""

_FORGETFUL: Mapping[str, Any] = {"mode": "enforce", "session": {}, "audit": {}, "locked": ()}


@dataclass(frozen=True)
class Arm:
    """One way to steer.

    Attributes:
        name: Without what the policy adds to it.
        system: What answers so.
        changes: What a policy file says to steer so; empty where none can.
    """

    name: str
    system: System
    changes: Mapping[str, Any] = field(default_factory=dict)


def none(policy: Policy) -> Arm:
    """Returns the model as it is."""
    system = _told_apart(System("none", policy, "off"))
    return Arm("none", system, {"contrast": {"when": "never"}})


def biases(policy: Policy) -> list[Arm]:
    """Returns constant biases away from refusal, the weakest first."""
    arms = []
    for strength in BIASES:
        name = f"bias {strength:g}"
        made = bias.constant_bias(name, _forgetful(policy), f"{strength:g}")
        arms.append(Arm(name, _told_apart(made)))
    return arms


def contrasts(policy: Policy) -> list[Arm]:
    """Returns contrast by itself in every form of the grid, the weakest first."""
    arms = []
    strengths = [(form, alpha) for form, alphas in ALPHAS.items() for alpha in alphas]
    for form, alpha in sorted(strengths, key=lambda each: each[1]):
        for other in COUNTERFACTUALS:
            said = {"form": form, "alpha": alpha, **other}
            with_noise = f" {other['noise_std']:g}" if "noise_std" in other else ""
            name = f"{form} {other['counterfactual']}{with_noise} alpha {alpha:g}"
            system = _told_apart(System(name, _alone(policy, said), "enforce", bias.unjudged))
            when = "at-stake" if policy.contrast.when == "never" else policy.contrast.when
            arms.append(Arm(name, system, {"contrast": {**said, "when": when}}))
    return arms


def as_it_is(policy: Policy) -> Arm:
    """Returns the policy with its own modulation, under the verdicts that are kept."""
    return _judged("as it is", policy)


def modulations(policy: Policy) -> list[Arm]:
    """Returns the policy with other strengths, the weakest first."""
    arms = []
    for strength in STRENGTHS:
        for scale in ("confidence", "fixed"):
            said = {"boost": strength, "suppress": strength, "scale": scale}
            name = f"{strength:g} {scale}"
            changed = policy.modulation.model_copy(update=said)
            if changed == policy.modulation:
                continue
            other: Policy = policy.model_copy(update={"modulation": changed})
            arms.append(_judged(name, other, {"modulation": said}))
    return arms


def _forgetful(policy: Policy) -> Policy:
    """Returns the policy without sessions and records: each request is by itself."""
    changed: Policy = policy.model_copy(update=_FORGETFUL)
    return changed


def _alone(policy: Policy, contrast: Mapping[str, Any]) -> Policy:
    """Returns a policy that contrasts every request, whatever anybody believes, and no more."""
    plain = acting(_forgetful(policy), safe="plain", uncertain="plain", unsafe="plain")
    changed: Policy = plain.model_copy(
        update={
            "contrast": policy.contrast.model_copy(update={**contrast, "when": "always"}),
            "modulation": policy.modulation.model_copy(update={"form": "off"}),
            "failure": {"noised_branch": "continue"},
        }
    )
    return changed


def _judged(name: str, policy: Policy, changes: Mapping[str, Any] | None = None) -> Arm:
    """Returns the policy for requests whose verdict is known: nobody looks twice."""
    looks = {"views": "whole", "competence": {"evidence": "none"}, "second_look": {}}
    judge = policy.judge.model_copy(update=looks)
    known: Policy = _forgetful(policy).model_copy(update={"judge": judge})
    return Arm(name, _told_apart(System(name, known, "enforce")), changes or {})


def _told_apart(system: System) -> System:
    """Returns a system whose name tells policies apart, so that kept answers are its own."""
    return replace(system, name=f"{system.name} @{system.policy.digest[:12]}")
