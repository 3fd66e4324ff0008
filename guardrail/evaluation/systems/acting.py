"""The evaluated policy's verdict, and other actions upon it.

Judge, questions, thresholds and refusal words stay those of the policy that is evaluated.
"""

from __future__ import annotations

from typing import Any

from guardrail.policy import Policy
from guardrail.policy.terms import Action, Uncertain
from guardrail.policy.watch import NO_WATCH


def acting(policy: Policy, *, safe: Action, uncertain: Uncertain, unsafe: Action) -> Policy:
    """Returns a policy with the same actions in every category, and no competence to be shown.

    What follows where no verdict can be had stays as it is; nobody watches the answer.

    Args:
        policy: The evaluated one.
        safe: Where every category is safe.
        uncertain: Between the thresholds; `lean` does as the nearer side says.
        unsafe: Where a category is unsafe.
    """
    actions = {"on_safe": safe, "on_uncertain": uncertain, "on_unsafe": unsafe}
    none = dict.fromkeys(actions)
    competence = policy.judge.competence.model_copy(update={"evidence": "none"})
    changed: Policy = policy.model_copy(
        update={
            "judge": policy.judge.model_copy(update={"competence": competence}),
            "verdict": policy.verdict.model_copy(update=actions),
            "categories": [each.model_copy(update=none) for each in policy.categories],
            "watch": NO_WATCH,
        }
    )
    return changed


def unsteered(policy: Policy) -> Policy:
    """Returns a policy that touches no logits, and so has no guided steps to record."""
    changed: Policy = policy.model_copy(
        update={
            "contrast": policy.contrast.model_copy(update={"when": "never", "guided_steps": 0}),
            "modulation": policy.modulation.model_copy(
                update={"form": "off", "ensure_refusal": False}
            ),
        }
    )
    return changed


def modulated(policy: Policy, **changes: Any) -> Policy:
    """Returns a policy without contrast, its modulation changed.

    Args:
        policy: The evaluated one.
        **changes: Keys of `modulation`.
    """
    changed: Policy = policy.model_copy(
        update={
            "contrast": policy.contrast.model_copy(update={"when": "never"}),
            "modulation": policy.modulation.model_copy(update=changes),
        }
    )
    return changed
