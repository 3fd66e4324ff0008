"""A ruling: what a policy makes of a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from guardrail.policy.terms import Action, Label


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a policy decided, and why.

    Attributes:
        label: The most severe label of any category.
        action: The strictest action that any category asks for.
        category: The category that decided; None if all are safe by the policy's general rule, or
            if no verdict could be had.
        rule: The path of the rule that decided, such as `categories.child-at-risk.on_unsafe`.
        reasons: One sentence each; the first is the deciding one.
        confidence: How far the deciding category is past its threshold, in [0, 1]; 0 if uncertain
            or unavailable.
    """

    label: Label
    action: Action
    category: str | None
    rule: str
    reasons: tuple[str, ...]
    confidence: float
