"""The evaluated policy with one part of it changed: what that part contributes."""

from __future__ import annotations

from typing import Any

from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy
from guardrail.policy.watch import NO_WATCH


def unguarded(name: str, policy: Policy) -> System:
    """The model as it is."""
    return System(name, policy, "off")


def guarded(name: str, policy: Policy) -> System:
    """The policy as it is."""
    return System(name, policy, "enforce")


def request_only(name: str, policy: Policy) -> System:
    """With nobody watching the answer."""
    return System(name, policy.model_copy(update={"watch": NO_WATCH}), "enforce")


def contrast_only(name: str, policy: Policy) -> System:
    """Without modulation."""
    return _changed(name, policy, "modulation", form="off")


def modulation_only(name: str, policy: Policy) -> System:
    """Without contrast."""
    return _changed(name, policy, "contrast", when="never")


def fixed_strength(name: str, policy: Policy) -> System:
    """Modulation at full strength, however sure the verdict is."""
    return _changed(name, policy, "modulation", scale="fixed")


def scaled_strength(name: str, policy: Policy) -> System:
    """Modulation as strong as the verdict is past its threshold."""
    return _changed(name, policy, "modulation", scale="confidence")


def _changed(name: str, policy: Policy, part: str, **values: Any) -> System:
    changed = getattr(policy, part).model_copy(update=values)
    return System(name, policy.model_copy(update={part: changed}), "enforce")
