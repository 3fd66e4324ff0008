"""Decides the readings of answers again under another policy, from what was read, without a model.

What a recorded answer went on to say is known as far as it was generated, and not beyond: where it
was ended and another policy would have let it go on, how that would have gone on is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from guardrail.policy import Policy
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.terms import Act
from guardrail.policy.verdict import Verdict
from guardrail.record.audit.recalibration import recalibrated
from guardrail.record.audit.record import AuditRecord
from guardrail.record.decision import Decision, WatchRecord
from guardrail.record.memory import reading_again

Fate = Literal["let out", "held", "steered", "escalated", "ended", "replaced", "not read"]
"""What becomes of an answer by its readings. `held`: it was given up while nobody had cleared its
end; `not read`: the policy does not watch, so that it goes out unseen.
"""

_STOPS: Final[dict[Act, Fate]] = {
    "steer": "steered",
    "escalate": "escalated",
    "end": "ended",
    "replace": "replaced",
}


@dataclass(frozen=True)
class ReadingChange:
    """A reading that would be decided otherwise."""

    seq: int
    time: str
    request_id: str
    tokens: int
    act: Act
    new_act: Act
    label: str
    new_label: str
    category: str | None
    new_category: str | None
    new_rule: str
    reason: str


@dataclass(frozen=True)
class Rereading:
    """What another policy makes of the readings of a log.

    Attributes:
        answers: How many answers had readings, and would be answered as they were.
        readings: How many readings of these were decided again: each answer's, up to the first by
            which the other policy stops it.
        moot: How many came after that: they would not have been taken.
        fates: How many answers went from one fate (first) to another, the unchanged ones included.
        unknown: How many were not whole at their last reading, and would not be stopped by any:
            what they would have gone on to say is not known.
        elsewhere: How many the other policy would have read at other places, since its
            `watch.every` is another. They are decided at the places that are recorded.
        otherwise: How many more had readings, and would not be answered as they were: the request
            would be decided otherwise. Their readings are not decided again.
        unread: How many answers nobody read, where the other policy watches.
        changes: The readings of which the act, the label or the category would change.
    """

    answers: int
    readings: int
    moot: int
    fates: dict[tuple[Fate, Fate], int]
    unknown: int
    elsewhere: int
    otherwise: int
    unread: int
    changes: list[ReadingChange]

    def plain(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        return {
            "answers": self.answers,
            "readings": self.readings,
            "moot": self.moot,
            "unknown": self.unknown,
            "elsewhere": self.elsewhere,
            "otherwise": self.otherwise,
            "unread": self.unread,
            "changed": len(self.changes),
            "fates": [
                {"from": old, "to": new, "count": count}
                for (old, new), count in sorted(self.fates.items())
            ],
            "changes": [asdict(change) for change in self.changes],
        }


class Rereadings:
    """Gathers what one policy makes of the readings of many records.

    Args:
        policy: The other policy. Its mode does not count, as elsewhere in a replay.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._fates: Counter[tuple[Fate, Fate]] = Counter()
        self._readings = self._moot = self._unknown = 0
        self._elsewhere = self._otherwise = self._unread = 0
        self._changes: list[ReadingChange] = []

    def take(self, record: AuditRecord, decision: Decision, *, answered: bool) -> None:
        """Decides the readings of one record again.

        Args:
            record: The record.
            decision: Its decision.
            answered: Whether the request would have been answered as it was.
        """
        readings, watch = decision.watch, self._policy.watch
        if not readings:
            self._unread += not watch.is_off and _was_generated(record, decision)
            return
        if not answered:
            self._otherwise += 1
            return
        old = _fate(reading.act for reading in readings)
        new: Fate = "not read"
        if not watch.is_off:
            self._elsewhere += record.watching is not None and record.watching.every != watch.every
            new = self._fate_again(record, decision)
        self._fates[old, new] += 1
        goes_on = new not in _STOPS.values()
        self._unknown += goes_on and not readings[-1].over

    def found(self) -> Rereading:
        """Returns what was gathered."""
        return Rereading(
            answers=self._fates.total(),
            readings=self._readings,
            moot=self._moot,
            fates=dict(self._fates),
            unknown=self._unknown,
            elsewhere=self._elsewhere,
            otherwise=self._otherwise,
            unread=self._unread,
            changes=self._changes,
        )

    def _fate_again(self, record: AuditRecord, decision: Decision) -> Fate:
        acts: list[Act] = []
        for reading in decision.watch:
            acts.append(self._again(record, decision, reading))
            if acts[-1] in _STOPS:
                break
        self._readings += len(acts)
        self._moot += len(decision.watch) - len(acts)
        return _fate(acts)

    def _again(self, record: AuditRecord, decision: Decision, reading: WatchRecord) -> Act:
        verdict = read_verdict(record, reading, self._policy)
        ruling = reading_again(self._policy, verdict, reading, decision)
        was = (reading.act, reading.label, reading.category)
        if (ruling.act, ruling.label, ruling.category) != was:
            self._changes.append(_change(record, decision, reading, ruling))
        return ruling.act


def read_verdict(record: AuditRecord, reading: WatchRecord, policy: Policy) -> Verdict:
    """Returns the verdict on the answer so far on which `policy` would have decided.

    A record holds probabilities as its own policy had calibrated them: that is undone first. The
    answer questions are contrasted by nobody.
    """
    if reading.error is not None:
        return Verdict.unavailable(reading.error)
    old, new = record.calibration, policy.judge.calibration
    return Verdict(recalibrated(reading.categories, old, new))


def _fate(acts: Iterable[Act]) -> Fate:
    """Returns what becomes of an answer by the acts of its readings, in their order."""
    last: Act = "release"
    for last in acts:
        if last in _STOPS:
            return _STOPS[last]
    return "held" if last == "hold" else "let out"


def _was_generated(record: AuditRecord, decision: Decision) -> bool:
    return record.kind == "decision" and decision.outcome.output_tokens > 0


def _change(
    record: AuditRecord, decision: Decision, reading: WatchRecord, ruling: WatchRuling
) -> ReadingChange:
    return ReadingChange(
        seq=record.seq,
        time=record.time,
        request_id=decision.request_id,
        tokens=reading.tokens,
        act=reading.act,
        new_act=ruling.act,
        label=reading.label,
        new_label=ruling.label,
        category=reading.category,
        new_category=ruling.category,
        new_rule=ruling.rule,
        reason=ruling.reasons[0] if ruling.reasons else "",
    )
