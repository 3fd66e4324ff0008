"""Answers begun with fixed words by the verdict, then decoded as ever.

The words are forced token by token, since models differ in whether a prompt may end in the middle
of an answer. What is uncertain goes by the nearer threshold.
"""

from __future__ import annotations

from guardrail.evaluation.systems.acting import acting, modulated
from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy

AGREEING = "Sure,"
REFUSING = "I'm sorry, but I can't help with that"
"""For policies without a refusal phrase."""


def forced_beginning(name: str, policy: Policy) -> System:
    """Begins with the policy's first refusal phrase where unsafe, and agrees where safe."""
    english = policy.refusals.get("en")
    phrases = english.phrases if english is not None and english.phrases else policy.phrases
    openings = {"comply": AGREEING, "refuse": phrases[0] if phrases else REFUSING}
    judged = acting(policy, safe="comply", uncertain="lean", unsafe="refuse")
    begun = modulated(judged, form="opening", openings=openings, ensure_refusal=False)
    without = begun.contrast.model_copy(update={"guided_steps": 0})
    return System(name, begun.model_copy(update={"contrast": without}), "enforce")
