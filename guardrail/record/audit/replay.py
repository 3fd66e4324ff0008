"""Decides old records again under another policy, from the recorded verdicts: no model is needed.

What the answer would have been cannot be known without a model; what would have been done can. The
readings of answers that were watched are decided again in `rereading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from guardrail.policy import Policy, Ruling
from guardrail.policy.terms import LOCAL
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.record.audit.recalibration import recalibrated
from guardrail.record.audit.record import AuditRecord
from guardrail.record.audit.rereading import Rereading, Rereadings
from guardrail.record.decision import Decision, VerdictRecord
from guardrail.record.memory import ruling_again


@dataclass(frozen=True)
class Change:
    """A record that would be decided otherwise."""

    seq: int
    time: str
    request_id: str
    action: str
    new_action: str
    label: str
    new_label: str
    category: str | None
    new_category: str | None
    new_rule: str
    reason: str


@dataclass(frozen=True)
class Replay:
    """What another policy makes of a log.

    Attributes:
        decided: How many records were decided again.
        unjudged: How many had no verdict to decide by: their mode was off, or they failed before.
        unasked: Categories of the other policy that records were not judged on, and how many; to
            it these are unavailable.
        otherwise: How many were contrasted with grey pictures, or not, where the other policy would
            do otherwise. They are decided by what is recorded: what that would have made of them is
            not known without a model.
        unmeasured: How many are complied with at their word: the other policy asks how competent
            the judge is there, and they do not say.
        actions: How many went from one action (first) to another, the unchanged ones included.
        changes: The records of which the action, the label or the category would change.
        watched: What becomes of the readings of answers.
    """

    policy: str
    digest: str
    decided: int
    unjudged: int
    unasked: dict[str, int]
    otherwise: int
    unmeasured: int
    actions: dict[tuple[str, str], int]
    changes: list[Change]
    watched: Rereading

    def plain(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        return {
            "policy": {"name": self.policy, "digest": self.digest},
            "decided": self.decided,
            "unjudged": self.unjudged,
            "unasked": self.unasked,
            "otherwise": self.otherwise,
            "unmeasured": self.unmeasured,
            "changed": len(self.changes),
            "actions": [
                {"from": old, "to": new, "count": count}
                for (old, new), count in sorted(self.actions.items())
            ],
            "changes": [asdict(change) for change in self.changes],
            "watch": self.watched.plain(),
        }


def replay(records: Iterable[AuditRecord], policy: Policy) -> Replay:
    """Returns what `policy` makes of `records`.

    Args:
        records: Decisions, in any order.
        policy: The other policy. Its calibration counts; its contrast and its mode do not: what is
            recorded is contrasted already, and a decision is the same in every mode. What a session
            remembered counts as recorded, if the policy remembers; so does a human's review.
    """
    decided = unjudged = otherwise = unmeasured = 0
    actions: Counter[tuple[str, str]] = Counter()
    unasked: Counter[str] = Counter()
    changes: list[Change] = []
    readings = Rereadings(policy)
    for record in records:
        decision = record.decision
        if decision is None or decision.verdict.label is None:
            unjudged += 1
            continue
        decided += 1
        verdict = recorded_verdict(record, decision, policy)
        if verdict.error is None:
            unasked.update(r.id for r in policy.rules if r.id not in verdict.categories)
        otherwise += _is_contrasted_otherwise(record, decision, policy)
        ruling = ruling_again(policy, verdict, decision)
        unmeasured += ruling.action == "comply" and _is_unmeasured(decision, policy)
        actions[decision.action, ruling.action] += 1
        readings.take(record, decision, answered=ruling.action == decision.action)
        if (ruling.action, ruling.label, ruling.category) != (
            decision.action,
            decision.verdict.label,
            decision.category,
        ):
            changes.append(_change(record, decision, ruling))
    return Replay(
        policy=policy.name,
        digest=policy.digest,
        decided=decided,
        unjudged=unjudged,
        unasked=dict(unasked),
        otherwise=otherwise,
        unmeasured=unmeasured,
        actions=dict(actions),
        changes=changes,
        watched=readings.found(),
    )


def recorded_verdict(record: AuditRecord, decision: Decision, policy: Policy) -> Verdict:
    """Returns the verdict on which `policy` would have decided.

    A decision holds probabilities as its own policy had calibrated them: that is undone first.
    INVARIANT: that they are contrasted is not undone, and not done again.
    """
    lost = decision.contrast.skipped == "out of memory"
    if lost and policy.failure.noised_branch == "on_error":
        return Verdict.unavailable("out of memory in the noised branch")
    verdict = decision.verdict
    if verdict.error is not None:
        return Verdict.unavailable(verdict.error, source=verdict.source)
    categories = recalibrated(verdict.categories, record.calibration, policy.judge.calibration)
    return replace(verdict.believed(), categories=categories, evidence=_evidence(verdict))


def _is_unmeasured(decision: Decision, policy: Policy) -> bool:
    """Says whether `policy` would have measured competence where its own record does not say it."""
    verdict = decision.verdict
    if verdict.competence is not None or verdict.source not in LOCAL or not policy.earns:
        return False
    judged = decision.outcome.finish_reason == "judged"  # and nothing was to be suppressed
    return not judged and decision.policy.digest != policy.digest


def _is_contrasted_otherwise(record: AuditRecord, decision: Decision, policy: Policy) -> bool:
    pictures = record.request is not None and bool(record.request.pictures)
    if not pictures or decision.verdict.source not in LOCAL:
        return False
    contrast = policy.judge.contrast
    was = record.calibration.contrast if record.calibration is not None else None
    return (was or 0.0) != (contrast.alpha if contrast.looks else 0.0)


def _evidence(verdict: VerdictRecord) -> dict[str, float]:
    """Returns what competence rests on; before that was recorded, it was on the pictures alone."""
    nats = verdict.competence
    if "evidence" in verdict.model_fields_set or nats is None or nats <= NO_EVIDENCE:
        return verdict.evidence
    return {"pictures": nats}


def _change(record: AuditRecord, decision: Decision, ruling: Ruling) -> Change:
    return Change(
        seq=record.seq,
        time=record.time,
        request_id=decision.request_id,
        action=decision.action,
        new_action=ruling.action,
        label=decision.verdict.label or "",
        new_label=ruling.label,
        category=decision.category,
        new_category=ruling.category,
        new_rule=ruling.rule,
        reason=ruling.reasons[0] if ruling.reasons else "",
    )
