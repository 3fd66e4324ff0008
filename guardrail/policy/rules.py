"""What holds for each category once the policy's own values stand in for the unset ones."""

from __future__ import annotations

from dataclasses import dataclass

from guardrail.policy.schema import Category, PolicyContent
from guardrail.policy.terms import FIELD_OF_LABEL, Action, Label


@dataclass(frozen=True, slots=True)
class CategoryRule:
    """The effective rule of one category.

    Attributes:
        actions: The action for each label; of one that leans, that of `safe`.
        leans: Whether what is uncertain does as the nearer side of the band.
        origins: Per label, the path of the rule in the policy, such as `verdict.on_unsafe`.
        own: The labels whose action this category sets itself.
    """

    id: str
    unsafe_at: float
    safe_below: float
    actions: dict[Label, Action]
    origins: dict[Label, str]
    own: frozenset[Label]
    leans: bool = False

    @property
    def middle(self) -> float:
        """The middle of the band between the thresholds."""
        return (self.safe_below + self.unsafe_at) / 2

    def label_of(self, p: float) -> Label:
        """Returns the label of a probability in [0, 1]."""
        if p >= self.unsafe_at:
            return "unsafe"
        return "safe" if p < self.safe_below else "uncertain"

    def action_at(self, label: Label, p: float | None) -> Action:
        """Returns the action for a label that a probability was given."""
        if label == "uncertain" and self.leans and p is not None:
            return self.actions["unsafe" if p >= self.middle else "safe"]
        return self.actions[label]


def compile_rules(policy: PolicyContent) -> tuple[CategoryRule, ...]:
    """Returns the effective rule of each category, in the policy's order."""
    return tuple(_rule(policy, category) for category in policy.categories)


def _rule(policy: PolicyContent, category: Category) -> CategoryRule:
    base = policy.verdict
    own = frozenset(
        label for label, field in FIELD_OF_LABEL.items() if getattr(category, field) is not None
    )
    asked = {
        label: getattr(category if label in own else base, field)
        for label, field in FIELD_OF_LABEL.items()
    }
    leans = asked["uncertain"] == "lean"
    return CategoryRule(
        id=category.id,
        unsafe_at=base.unsafe_at if category.unsafe_at is None else category.unsafe_at,
        safe_below=base.safe_below if category.safe_below is None else category.safe_below,
        actions={**asked, "uncertain": asked["safe"]} if leans else asked,
        origins={
            label: f"categories.{category.id}.{field}" if label in own else f"verdict.{field}"
            for label, field in FIELD_OF_LABEL.items()
        },
        own=own,
        leans=leans,
    )
