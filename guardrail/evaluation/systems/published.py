"""SafeCoDe as it was published: the paper's equations, and what its released code does.

Taken from the packs of these names are contrast, modulation and what follows from a verdict; the
verdict itself is the evaluated policy's, so that what differs is the method.
"""

from __future__ import annotations

from guardrail.evaluation.systems.acting import acting
from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy, load_policy
from guardrail.policy.terms import Uncertain


def paper(name: str, policy: Policy) -> System:
    """The paper's equations and settings."""
    return System(name, _by_pack("paper", policy, uncertain="plain"), "enforce")


def published_code(name: str, policy: Policy) -> System:
    """What the released code does. It knows two verdicts, so what is uncertain leans."""
    return System(name, _by_pack("published-code", policy, uncertain="lean"), "enforce")


def _by_pack(pack: str, policy: Policy, *, uncertain: Uncertain) -> Policy:
    published = load_policy(pack)
    judged = acting(policy, safe="comply", uncertain=uncertain, unsafe="refuse")
    changed: Policy = judged.model_copy(
        update={
            "name": published.name,
            "description": published.description,
            "contrast": published.contrast,
            "modulation": published.modulation,
        }
    )
    return changed
