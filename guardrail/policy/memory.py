"""What earlier requests of a conversation do to a ruling: they may raise it, and never lower it.

Pure: who keeps the earlier requests, and for how long, is not known here
(`guardrail.request.sessions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from guardrail.policy.rules import CategoryRule
from guardrail.record.decision import Decision, RememberedRecord, SessionRecord

if TYPE_CHECKING:
    from guardrail.policy.schema import AfterRefusal, Policy


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


def memory_record(memory: Memory) -> SessionRecord | None:
    """Returns what a decision says of the memory that it was made with."""
    if memory == NOTHING:
        return None
    remembered = {
        name: RememberedRecord(p=each.p, request_id=each.request_id)
        for name, each in memory.remembered.items()
    }
    return SessionRecord(remembered=remembered, refusal=memory.refusal)


def recorded_memory(decision: Decision) -> Memory:
    """Returns the memory that a decision was made with."""
    record = decision.session
    if record is None:
        return NOTHING
    remembered = {
        name: Remembered(each.p, each.request_id) for name, each in record.remembered.items()
    }
    return Memory(remembered, record.refusal)


def recollection(decision: Decision) -> Recollection:
    """Returns what a decided request leaves behind: its own verdict, not what it remembered.

    What a human let pass leaves no verdict: their word outweighs the judge's. Where their approval
    did not help, since the request is refused all the same, the verdict stands.
    """
    judged, review = decision.verdict, decision.review
    stopped = decision.action in ("refuse", "block")
    if review is not None and review.approved and not stopped:
        return Recollection(decision.request_id, {}, refused=False, replaces=review.request_id)
    return Recollection(
        request_id=decision.request_id,
        categories={name: p for name, p in judged.categories.items() if 0 <= p <= 1},
        refused=stopped and decision.mode == "enforce" and judged.label != "unavailable",
    )


def tightened(rule: CategoryRule, after: AfterRefusal) -> CategoryRule:
    """Returns `rule` with the thresholds of `after` where those are lower."""
    unsafe_at = min(rule.unsafe_at, _or_one(after.unsafe_at))
    safe_below = min(rule.safe_below, _or_one(after.safe_below), unsafe_at)
    return replace(rule, unsafe_at=unsafe_at, safe_below=safe_below)


def _or_one(threshold: float | None) -> float:
    return 1.0 if threshold is None else threshold
