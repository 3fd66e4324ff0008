"""A ruling: what a policy makes of a verdict, or of a reading of the answer so far."""

from __future__ import annotations

from dataclasses import dataclass

from guardrail.policy.terms import CLEARING, Act, Action, Label


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

    @property
    def unjudged(self) -> bool:
        """Whether it was decided for want of a verdict."""
        return self.label == "unavailable" and self.rule.endswith("on_error")


@dataclass(frozen=True, slots=True)
class WatchRuling:
    """What a policy decided on one reading of the answer so far, and why.

    Attributes:
        label: The most severe label of any category.
        act: The strictest act that any category asks for.
        category: The category that decided; None if all are safe, or if nothing could be read.
        rule: The path of the rule that decided, such as `watch.on_unsafe`.
        reasons: One sentence each; the first is the deciding one.
        p: The probability that decided; None if the deciding category has none.
    """

    label: Label
    act: Act
    category: str | None
    rule: str
    reasons: tuple[str, ...]
    p: float | None

    @property
    def clears(self) -> bool:
        """Whether the answer may go out up to here."""
        return self.act in CLEARING

    @property
    def unjudged(self) -> bool:
        """Whether it was decided for want of a verdict."""
        return self.p is None
