"""A session's memory in the record of a decision: how it is written, and read back.

What is read back is enough to rule once more on a recorded request, and on its answer.
"""

from __future__ import annotations

from guardrail.policy import Policy, Ruling, decide
from guardrail.policy.evaluation import reviewed
from guardrail.policy.memory import NOTHING, Memory, Recollection, Remembered
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading, reviewed_reading
from guardrail.record.decision import Decision, RememberedRecord, SessionRecord, WatchRecord


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
    if review is not None and review.approved and review.honoured and not stopped:
        return Recollection(decision.request_id, {}, refused=False, replaces=review.request_id)
    return Recollection(
        request_id=decision.request_id,
        categories={name: p for name, p in judged.categories.items() if 0 <= p <= 1},
        refused=stopped and decision.mode == "enforce" and judged.label != "unavailable",
    )


def ruling_again(policy: Policy, verdict: Verdict, decision: Decision) -> Ruling:
    """Returns the ruling of `policy` on `verdict`, with the memory and the review of `decision`."""
    return reviewed(decide(policy, verdict, recorded_memory(decision)), decision.review)


def reading_again(
    policy: Policy, verdict: Verdict, reading: WatchRecord, decision: Decision
) -> WatchRuling:
    """Returns the ruling of `policy` on a reading of the answer, with the review of `decision`.

    Args:
        policy: What decides.
        verdict: On the answer, as it counts for `policy`.
        reading: Says whether the answer was whole.
        decision: Of which it is one.
    """
    ruling = decide_reading(policy, verdict, last=reading.over)
    return reviewed_reading(ruling, decision.review)
