"""The seam between what can be fitted and the policy that comes of it.

A *fit* looks at the part of the evidence that is for it, and says what it would change in the
policy. Each is a small module of its own (`judge_fit`, `threshold_fit`, `steering_fit`): an object
with a name that can be called alike, and brings what else it needs (a model, answers) with it.
`fit_all` knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from guardrail.evaluation.calibration.evidence import Split
from guardrail.policy import Policy
from guardrail.policy.merge import lay_over
from guardrail.policy.nodes import Mark, from_plain


@dataclass(frozen=True)
class Fitted:
    """What one fit came to.

    Attributes:
        changes: What it would change, as a policy file says it; empty if nothing.
        figures: What it measured, plain JSON.
        notes: What a reader should know, a sentence each.
        failures: Why what was asked for cannot be had: then no policy may be written.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


class Fit(Protocol):
    """One thing that can be fitted.

    INVARIANT: only `split.fitted` may choose a value. `split.held_out` measures, and may at most
    have a change left out that does not help there.
    """

    @property
    def name(self) -> str:
        """What the report calls it."""

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns what it would change in `policy`, which holds what earlier fits changed."""


@dataclass(frozen=True)
class Calibrated:
    """The policy after all fits.

    Attributes:
        changes: All changes together, as a policy file says them.
        parts: What each fit came to, by its name, in their order.
    """

    policy: Policy
    changes: Mapping[str, Any]
    parts: Mapping[str, Fitted]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why no policy may be written; empty if one may."""
        return tuple(line for part in self.parts.values() for line in part.failures)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return tuple(line for part in self.parts.values() for line in part.notes)


def fit_all(policy: Policy, split: Split, fits: Sequence[Fit]) -> Calibrated:
    """Returns what all fits come to, each on the policy that the ones before it left."""
    changes: dict[str, Any] = {}
    parts: dict[str, Fitted] = {}
    for fit in fits:
        fitted = parts[fit.name] = fit(policy, split)
        policy = changed(policy, fitted.changes)
        changes = lay_over(_node(changes), _node(fitted.changes)).plain()
    return Calibrated(policy, changes, parts)


def changed(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """Returns the policy with changes laid over it, as a file that extends it would have them."""
    if not changes:
        return policy
    base = policy.model_dump(mode="json")
    own = {key: base[key] for key in ("version", "name", "description")}
    merged = lay_over(_node(base), _node({**own, **changes})).plain()
    return Policy.model_validate(merged, context={"resolved": True})


def _node(content: Mapping[str, Any]) -> Any:
    return from_plain(dict(content), Mark("policy"))
