"""Requests that failed before they could be judged, as they lie in a log. Reading only.

They are no decisions: no action, no verdict, and no part of any rate. A list shows them between
the decisions of their time, unless it is asked for decisions of a certain kind.
"""

from __future__ import annotations

from typing import Any

from guardrail.errors import AuditError
from guardrail.record.audit.filters import Filter, paged
from guardrail.record.audit.queries import PAGE, LogReader, Summary
from guardrail.record.audit.record import AuditRecord

FAILED = "failed"
"""What stands in an action's place in a list; a filter for this action asks for these alone."""

_REQUEST = "json_extract(body, '$.failure.request_id')"
_POLICY = "json_extract(body, '$.failure.policy.name')"
_ERROR = "json_extract(body, '$.failure.error_type')"


def newest(
    reader: LogReader,
    chosen: Filter,
    *,
    limit: int = PAGE,
    before: int | None = None,
    after: int | None = None,
) -> list[Summary]:
    """Returns the newest decisions and failures that `chosen` asks for, newest first.

    Args:
        reader: The log.
        chosen: Which.
        limit: At most so many.
        before: As for `LogReader.decisions`.
        after: As for `LogReader.decisions`.
    """
    found = failures(reader, chosen, limit=limit, before=before, after=after)
    if chosen.action != FAILED:
        found += reader.decisions(chosen, limit=limit, before=before, after=after)
    return sorted(found, key=lambda each: -each.seq)[:limit]


def failures(
    reader: LogReader,
    chosen: Filter,
    *,
    limit: int = PAGE,
    before: int | None = None,
    after: int | None = None,
) -> list[Summary]:
    """Returns the newest failures that `chosen` asks for, newest first; arguments as for `newest`.

    Those that ask for an action or a category ask for no failures.
    """
    if not _asks_for_failures(chosen):
        return []
    where, values = paged(*_sql(chosen), before=before, after=after)
    rows = reader.select(
        f"SELECT seq, time, {_REQUEST}, {_POLICY}, json_extract(body, '$.failure.mode'), {_ERROR} "
        f"FROM records WHERE {where} ORDER BY seq DESC LIMIT ?",
        [*values, limit],
    )
    return [
        Summary(
            seq=seq,
            time=time,
            request=str(request),
            action=FAILED,
            category=None,
            policy=policy or "",
            mode=mode or "",
            label=None,
            p_unsafe=None,
            refused=None,
            finish="error",
            total_ms=None,
            error=error,
        )
        for seq, time, request, policy, mode, error in rows
    ]


def failure_counts(reader: LogReader, chosen: Filter) -> dict[str, int]:
    """Returns how many failures `chosen` asks for, by the kind of error, most frequent first."""
    if not _asks_for_failures(chosen):
        return {}
    where, values = _sql(chosen)
    rows = reader.select(
        f"SELECT {_ERROR}, count(*) FROM records WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1",
        values,
    )
    return {str(error): count for error, count in rows}


def find(reader: LogReader, reference: str) -> AuditRecord:
    """Returns the record that a place, a request's id or the beginning of one names.

    Raises:
        AuditError: It names none, or several.
    """
    found = failures(reader, Filter(request=reference), limit=2) if reference else []
    if len(found) != 1 or reader.decisions(Filter(request=reference), limit=1):
        return reader.find(reference)
    if reference.isdecimal() and reader.record(int(reference)) is not None:
        return reader.find(reference)
    record = reader.record(found[0].seq)
    if record is None:
        raise AuditError(f"no record of the audit log begins with {reference!r}")
    return record


def _asks_for_failures(chosen: Filter) -> bool:
    return chosen.action in (None, FAILED) and chosen.category is None


def _sql(chosen: Filter) -> tuple[str, list[Any]]:
    conditions, values = chosen.conditions(policy=_POLICY, request=_REQUEST)
    return " AND ".join(["kind = 'failed'", *conditions]), values
