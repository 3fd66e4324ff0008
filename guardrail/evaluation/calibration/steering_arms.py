"""The arms that steering is fitted among: none, a constant bias, contrast, and modulation.

Each is a policy that does that and nothing else, so that what is measured is its own. It runs
nothing and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrail.evaluation.systems import System
from guardrail.policy import Policy
from guardrail.policy.schema import Category, Contrast, Modulation
from guardrail.policy.terms import FIELD_OF_LABEL, Action

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

_UNJUDGED: Mapping[str, Any] = {
    "calibration": None,
    "views": "whole",
    "competence": {"evidence": "none"},
}


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
    return Arm("none", _system("none", policy, "off"), {"contrast": {"when": "never"}})


def biases(policy: Policy) -> list[Arm]:
    """Returns constant biases away from refusal, the weakest first."""
    return [
        Arm(
            name := f"bias {strength:g}",
            _system(
                name,
                _always(
                    policy,
                    "comply",
                    contrast={"when": "never"},
                    modulation={"form": "phrase", "scale": "fixed", "suppress": strength},
                ),
            ),
        )
        for strength in BIASES
    ]


def contrasts(policy: Policy) -> list[Arm]:
    """Returns contrast by itself in every form of the grid, the weakest first."""
    arms = []
    strengths = [(form, alpha) for form, alphas in ALPHAS.items() for alpha in alphas]
    for form, alpha in sorted(strengths, key=lambda each: each[1]):
        for other in COUNTERFACTUALS:
            said = {"form": form, "alpha": alpha, **other}
            with_noise = f" {other['noise_std']:g}" if "noise_std" in other else ""
            name = f"{form} {other['counterfactual']}{with_noise} alpha {alpha:g}"
            alone = _always(
                policy,
                "plain",
                contrast={**said, "when": "always"},
                modulation={"form": "off"},
            )
            when = "at-stake" if policy.contrast.when == "never" else policy.contrast.when
            arms.append(Arm(name, _system(name, alone), {"contrast": {**said, "when": when}}))
    return arms


def as_it_is(policy: Policy) -> Arm:
    """Returns the policy with its own modulation, under the verdicts that are kept."""
    return Arm("as it is", _system("as it is", _as_judged(policy)))


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
            judged = _as_judged(policy.model_copy(update={"modulation": changed}))
            arms.append(Arm(name, _system(name, judged), {"modulation": said}))
    return arms


def _always(
    policy: Policy, action: Action, *, contrast: Mapping[str, Any], modulation: Mapping[str, Any]
) -> Policy:
    """Returns a policy that does the same to every request, whatever anybody believes."""
    changed: Policy = policy.model_copy(
        update={
            "judge": policy.judge.model_copy(update=_UNJUDGED),
            "verdict": dict.fromkeys(FIELD_OF_LABEL.values(), action),
            "categories": [
                Category(id=each.id, question=each.question) for each in policy.categories
            ],
            "contrast": _but(policy.contrast, contrast),
            "modulation": _but(policy.modulation, modulation),
            "failure": {"noised_branch": "continue"},
            **_FORGETFUL,
        }
    )
    return changed


def _as_judged(policy: Policy) -> Policy:
    """Returns the policy for requests whose verdict is known: nobody looks twice."""
    looks = {**_UNJUDGED, "calibration": policy.judge.calibration}
    judge = policy.judge.model_copy(update=looks)
    changed: Policy = policy.model_copy(update={"judge": judge, **_FORGETFUL})
    return changed


_FORGETFUL: Mapping[str, Any] = {"mode": "enforce", "session": {}, "audit": {}, "locked": ()}


def _but(section: Contrast | Modulation, changes: Mapping[str, Any]) -> Any:
    return section.model_copy(update=changes)


def _system(name: str, policy: Policy, mode: str = "enforce") -> System:
    """Returns a system whose name tells policies apart, so that kept answers are its own."""
    return System(f"{name} @{policy.digest[:12]}", policy, mode)  # type: ignore[arg-type]
