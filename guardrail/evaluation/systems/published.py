"""SafeCoDe as it was published: the paper's equations, and what its released code does.

Taken from the packs of these names are contrast, modulation and what follows from a verdict; the
verdict itself is the evaluated policy's, so that what differs is the method.
"""

from __future__ import annotations

from guardrail.evaluation.systems.acting import acting, split
from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy, load_policy


def paper(name: str, policy: Policy) -> System:
    """The paper's equations and settings."""
    return System(name, _by_pack("paper", policy), "enforce")


def published_code(name: str, policy: Policy) -> System:
    """What the released code does. It knows two verdicts, so nothing is uncertain."""
    return System(name, split(_by_pack("published-code", policy)), "enforce")


def _by_pack(pack: str, policy: Policy) -> Policy:
    published = load_policy(pack)
    judged = acting(policy, safe="comply", uncertain="plain", unsafe="refuse")
    changed: Policy = judged.model_copy(
        update={
            "name": published.name,
            "description": published.description,
            "contrast": published.contrast,
            "modulation": published.modulation,
        }
    )
    return changed
