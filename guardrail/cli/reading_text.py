"""How readings of an answer under way look in `guardrail audit`, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from guardrail.cli.plain_text import visible
from guardrail.record.audit.record import AuditRecord
from guardrail.record.audit.rereading import Rereading
from guardrail.record.decision import WatchRecord

_BAR = 24


def readings(found: AuditRecord) -> Iterator[str]:
    """Yields a record's readings of its answer, and how it was to be read."""
    decision = found.decision
    if decision is None:
        return
    if found.watching is not None:
        watching = found.watching
        yield (
            f"  watched   every {watching.every} tokens, safe below {watching.safe_below:g}, "
            f"unsafe at {watching.unsafe_at:g}: {watching.on_unsafe}; release {watching.release}"
        )
    for reading in decision.watch:
        yield from _reading(reading)


def bar(p: float) -> str:
    """Returns a probability as a bar of characters, whatever stands in the record."""
    filled = round(min(max(p, 0.0), 1.0) * _BAR) if p == p else 0
    return "#" * filled + "." * (_BAR - filled)


def rereading(found: Rereading, limit: int) -> Iterator[str]:
    """Yields what another policy makes of readings, if there were any, or should have been.

    Args:
        found: What it makes of them.
        limit: How many changes are listed.
    """
    if found.readings:
        yield (
            f"{_count(found.readings, 'reading')} of {_count(found.answers, 'answer')} decided "
            "again" + (f"; {found.moot} more come after a stop" if found.moot else "")
        )
    elif found.answers:
        yield f"{_count(found.answers, 'answer')} had readings, and this policy does not watch"
    if found.otherwise:
        yield (
            f"readings of {_count(found.otherwise, 'more answer')} were left out: the request "
            "would be decided otherwise, and its answer be another"
        )
    if found.unread:
        yield (
            f"{_count(found.unread, 'answer')} had no readings, and this policy watches: what it "
            "would have read is not known"
        )
    if found.elsewhere:
        yield (
            f"{_count(found.elsewhere, 'answer')} would be read at other places: the recorded "
            "readings stand for them"
        )
    for (old, new), count in sorted(found.fates.items()):
        yield f"  {old:<9} -> {new:<9} {count:>7}" + ("" if old != new else "  (as before)")
    if found.unknown:
        yield (
            f"{_count(found.unknown, 'answer')} would go on after the last reading: what would "
            "have been said there was not generated, and is not known"
        )
    if not found.readings:
        return
    yield f"{_count(len(found.changes), 'reading')} would change"
    for change in found.changes[:limit]:
        yield (
            f"  {change.seq:>8}  {change.time[:19].replace('T', ' ')}  at {change.tokens} tokens  "
            f"{change.act} -> {change.new_act}: {visible(change.reason)}"
        )
    if len(found.changes) > limit:
        yield f"  and {len(found.changes) - limit} more (--limit, --json)"


def _reading(reading: WatchRecord) -> Iterator[str]:
    p = reading.p_unsafe
    drawn = f"{'-':>5}  {'':<{_BAR}}" if p is None else f"{p:5.3f}  {bar(p)}"
    over = " (all of it)" if reading.over else ""
    yield f"    at {reading.tokens:<5} {drawn}  {reading.label}: {reading.act}{over}"
    if reading.act != "release":
        for reason in reading.reasons:
            yield f"      because {visible(reason)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
