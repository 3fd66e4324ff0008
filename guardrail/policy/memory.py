"""What earlier requests of a conversation do to a ruling: they may raise it, and never lower it.

Pure: who keeps the earlier requests, and for how long, is not known here
(`guardrail.request.sessions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from guardrail.policy.policy import Policy
from guardrail.policy.rules import CategoryRule
from guardrail.policy.schema import AfterRefusal


@dataclass(frozen=True, slots=True)
class Recollection:
    """One earlier request, as far as later ones look at it.

    Attributes:
        request_id: Which one.
        categories: What its own verdict believed, by category id, in [0, 1].
        refused: Whether it was refused or blocked for its verdict.
        replaces: The request that was escalated, of which this is the approved repetition.
    """

    request_id: str
    categories: Mapping[str, float]
    refused: bool
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A probability that an earlier request left behind."""

    p: float
    request_id: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What a session holds against a request.

    Attributes:
        remembered: The highest probability of each category, faded.
        refusal: The latest request that was refused; None without one.
    """

    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    refusal: str | None = None


NOTHING = Memory()


def recall(policy: Policy, earlier: Sequence[Recollection]) -> Memory:
    """Returns what `earlier` requests, the oldest first, amount to under `policy`.

    A probability that is remembered fades by `session.decay` with every request since.
    """
    session = policy.session
    if session.memory == "off":
        return NOTHING
    known = {rule.id for rule in policy.rules}
    found: dict[str, Remembered] = {}
    refusal: str | None = None
    for age, each in enumerate(reversed(earlier), start=1):
        if each.refused and refusal is None:
            refusal = each.request_id
        for name, p in each.categories.items():
            faded = p * session.decay**age
            if name in known and 0 < faded <= 1 and (name not in found or faded > found[name].p):
                found[name] = Remembered(faded, each.request_id)
    return Memory(found, refusal)


def tightened(rule: CategoryRule, after: AfterRefusal) -> CategoryRule:
    """Returns `rule` with the thresholds of `after` where those are lower."""
    unsafe_at = min(rule.unsafe_at, _or_one(after.unsafe_at))
    safe_below = min(rule.safe_below, _or_one(after.safe_below), unsafe_at)
    return replace(rule, unsafe_at=unsafe_at, safe_below=safe_below)


def _or_one(threshold: float | None) -> float:
    return 1.0 if threshold is None else threshold
