"""Records of answers that were watched, as policies of one kind would have had them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.review import Review
from guardrail.policy.verdict import Verdict
from guardrail.record.audit import AuditLog
from guardrail.record.audit.observer import AuditObserver
from guardrail.record.decision import Decision, Outcome, VerdictRecord, WatchRecord
from guardrail.record.memory import reading_again
from guardrail.request.conversation import question

from .making import KEY, decision

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]
BELIEVED = Verdict(dict.fromkeys(IDS, 0.01))
STOPS = ("replace", "end", "escalate", "steer")


def watching(policy: Policy = BASELINE, **watch: Any) -> Policy:
    found: Policy = policy.model_copy(update={"watch": {"every": 8, **watch}})
    return found


def read(p: float | str) -> Verdict:
    """A reading: one category at `p`, the others well below it; or why there is none."""
    if isinstance(p, str):
        return Verdict.unavailable(p)
    return Verdict({name: p if name == IDS[1] else p / 4 for name in IDS})


def answered(
    policy: Policy,
    ps: Sequence[float | str],
    *,
    whole: bool = True,
    goes_on: bool = False,
    review: Review | None = None,
    **changes: Any,
) -> Decision:
    """A decision on an answer of 8 tokens a reading.

    Args:
        policy: Whose.
        ps: What is read, as far as it comes to that.
        whole: Whether the last of them is on the whole answer.
        goes_on: Whether it goes on after an act that stops, as in `shadow`.
        review: A human's word.
        **changes: Of the decision.
    """
    ruling = decide(policy, BELIEVED)
    made = decision(
        0,
        verdict=VerdictRecord(label=ruling.label, categories=BELIEVED.categories, source="self"),
        action=ruling.action,
        category=ruling.category,
        review=review,
        session=None,
        **changes,
    )
    readings: list[WatchRecord] = []
    for at, p in enumerate(ps, start=1):
        verdict, over = read(p), whole and at == len(ps)
        bare = WatchRecord(tokens=8 * at, over=over, label="safe", act="release")
        found = reading_again(policy, verdict, bare, made)
        readings.append(
            WatchRecord(
                tokens=bare.tokens,
                over=over,
                label=found.label,
                act=found.act,
                p_unsafe=verdict.p_unsafe,
                categories=dict(verdict.categories),
                category=found.category,
                rule=found.rule,
                reasons=list(found.reasons),
                error=verdict.error,
            )
        )
        if found.act in STOPS and not goes_on:
            break
    ended = bool(readings) and readings[-1].act in ("replace", "end") and not goes_on
    outcome = Outcome(
        finish_reason="blocked" if ended else "stop",
        replaced=ended and readings[-1].act == "replace",
        output_tokens=8 * max(len(readings), 1),
    )
    return made.model_copy(update={"watch": readings, "outcome": outcome})


def logged(path: Path, policy: Policy, *decisions: Decision) -> Path:
    """A log of decisions that were made under one policy."""
    with AuditLog(path, key=KEY) as log:
        observer = AuditObserver(log, policy)
        for made in decisions:
            observer.concluded(made, question("How?", []), "")
    return path
