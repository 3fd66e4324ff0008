"""What can be asked of a log: lists, single records, counts and rates. Reading only.

Everything is answered from an index, so that a hundred thousand records are no burden. What is read
is shown as it lies in the file: whether it was altered is for `verification` to say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.filters import Filter, paged
from guardrail.record.audit.record import AuditRecord, parse_body
from guardrail.record.audit.stretches import Bucket, Stretches

PAGE = 50
_OF_A_REQUEST = "kind IN ('decision', 'failed')"


@dataclass(frozen=True)
class Summary:
    """A decision in one line, or a request that failed before there was one.

    Attributes:
        error: The kind of error that failed it; None of a decision.
    """

    seq: int
    time: str
    request: str
    action: str
    category: str | None
    policy: str
    mode: str
    label: str | None
    p_unsafe: float | None
    refused: bool | None
    finish: str | None
    total_ms: float | None
    error: str | None = None


class LogReader:
    """An existing log, opened for reading.

    Args:
        path: The log.

    Raises:
        AuditError: There is none, or it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._connection = store.open_read_only(self.path)

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextmanager
    def unchanging(self) -> Iterator[sqlite3.Connection]:
        """A with-block that reads one state of the log while writers go on."""
        self._connection.execute("BEGIN")
        try:
            yield self._connection
        finally:
            self._connection.execute("ROLLBACK")

    def decisions(
        self,
        chosen: Filter,
        *,
        limit: int = PAGE,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Summary]:
        """Returns the newest decisions that `chosen` asks for, newest first.

        Args:
            chosen: Which.
            limit: At most so many.
            before: Only such as were written before this place, for the next page.
            after: Only such as were written after this place.
        """
        where, values = paged(*chosen.sql(), before=before, after=after)
        # Without conditions the newest are found at the end of the table; with some, by the index.
        hint = "NOT INDEXED" if chosen == Filter() else ""
        rows = self._all(
            f"SELECT seq, time, request, action, category, policy, mode, label, p_unsafe, refused, "
            f"finish, total_ms FROM records {hint} WHERE {where} ORDER BY seq DESC LIMIT ?",
            [*values, limit],
        )
        return [_summary(row) for row in rows]

    def count(self, chosen: Filter) -> int:
        """Returns how many decisions `chosen` asks for."""
        where, values = chosen.sql()
        count: int = self._all(f"SELECT count(*) FROM records WHERE {where}", values)[0][0]
        return count

    def record(self, seq: int) -> AuditRecord | None:
        """Returns one record.

        Raises:
            AuditError: What lies there is no record.
        """
        found = self._all("SELECT body FROM records WHERE seq = ?", [seq])
        return _parsed(seq, found[0][0]) if found else None

    def raw(self, seq: int) -> tuple[str, str, str] | None:
        """Returns one record's (body, hash, signature) as stored."""
        found = self._all("SELECT body, hash, signature FROM records WHERE seq = ?", [seq])
        return found[0] if found else None

    def find(self, reference: str) -> AuditRecord:
        """Returns the record that a place, a request's id or the beginning of one names.

        Raises:
            AuditError: It names none, or several.
        """
        if reference.isdecimal() and len(reference) < 19:
            record = self.record(int(reference))
            if record is not None:
                return record
        found = self.decisions(Filter(request=reference), limit=2)
        if len(found) == 1 or (found and found[0].request == reference):
            record = self.record(found[0].seq)
            if record is not None:
                return record
        many = "several records begin" if found else "no record of the audit log begins"
        raise AuditError(f"{many} with {reference!r}, expected a place or a request's id")

    def neighbours(self, seq: int) -> tuple[int | None, int | None]:
        """Returns the places of the requests before and after `seq`: decisions and failures."""
        [[before, after]] = self._all(
            f"SELECT (SELECT max(seq) FROM records WHERE {_OF_A_REQUEST} AND seq < ?), "
            f"(SELECT min(seq) FROM records WHERE {_OF_A_REQUEST} AND seq > ?)",
            [seq, seq],
        )
        return before, after

    def records(self, chosen: Filter) -> Iterator[AuditRecord]:
        """Yields whole decisions, oldest first."""
        where, values = chosen.sql()
        for [seq] in self._all(f"SELECT seq FROM records WHERE {where} ORDER BY seq", values):
            record = self.record(seq)
            if record is not None:
                yield record

    def unfinished(self, *, limit: int = PAGE) -> list[tuple[int, str, str]]:
        """Returns (place, time, request) of requests that were opened and never concluded: they are
        still running, or their process died.
        """
        return self._all(
            "SELECT o.seq, o.time, o.request FROM records AS o WHERE o.kind = 'opened' AND NOT "
            "EXISTS (SELECT 1 FROM records AS d WHERE d.request = o.request AND "
            "d.kind = 'decision') ORDER BY o.seq DESC LIMIT ?",
            [limit],
        )

    def choices(self, column: str) -> list[str]:
        """Returns the values that `category`, `policy` or `mode` has in decisions."""
        if column not in ("category", "policy", "mode"):
            raise ValueError(column)
        rows = self._all(
            f"SELECT DISTINCT {column} FROM records WHERE kind = 'decision' "
            f"AND {column} IS NOT NULL ORDER BY 1",
            [],
        )
        return [str(row[0]) for row in rows]

    def buckets(self, chosen: Filter, *, most: int = 48) -> list[Bucket]:
        """Returns the decisions over time, in at most `most` stretches of one length, none left
        out.
        """
        where, values = chosen.sql()
        [[first, last]] = self._all(
            f"SELECT min(time), max(time) FROM records WHERE {where}", values
        )
        if first is None:
            return []
        stretches = Stretches.over(first, last, most=most)
        rows = self._all(
            f"SELECT substr(time, 1, {stretches.digits}), action, coalesce(category, ''), count(*) "
            f"FROM records WHERE {where} GROUP BY 1, 2, 3",
            values,
        )
        return stretches.filled(rows)

    def stats(self, chosen: Filter) -> dict[str, Any]:
        """Returns counts, rates and times as plain JSON."""
        where, values = chosen.sql()
        counts = {
            name: {
                str(value) if value is not None else "none": count
                for value, count in self._all(
                    f"SELECT {name}, count(*) FROM records WHERE {where} "
                    "GROUP BY 1 ORDER BY 2 DESC",
                    values,
                )
            }
            for name in ("action", "label", "category", "policy", "mode", "finish")
        }
        [[total, answered, refused, first, last]] = self._all(
            "SELECT count(*), sum(refused IS NOT NULL), sum(refused = 1), min(time), max(time) "
            f"FROM records WHERE {where}",
            values,
        )
        times = [
            row[0]
            for row in self._all(
                f"SELECT total_ms FROM records WHERE {where} AND total_ms IS NOT NULL "
                "ORDER BY total_ms",
                values,
            )
        ]
        return {
            "decisions": total,
            "first_time": first,
            "last_time": last,
            **counts,
            "readings": self._readings(where, values),
            "refusal_rate": (refused or 0) / answered if answered else None,
            "p_unsafe": self._histogram(where, values),
            "total_ms": {"p50": _quantile(times, 0.5), "p95": _quantile(times, 0.95)},
            "unfinished": len(self.unfinished(limit=1000)),
        }

    def _readings(self, where: str, values: Sequence[Any]) -> dict[str, int]:
        """Counts the readings of answers that were watched, by what was done after them."""
        return dict(
            self._all(
                "SELECT json_extract(reading.value, '$.act'), count(*) FROM records, "
                "json_each(records.body, '$.decision.watch') AS reading "
                f"WHERE {where} AND instr(body, '\"watch\":[{{') GROUP BY 1 ORDER BY 2 DESC, 1",
                values,
            )
        )

    def _histogram(self, where: str, values: Sequence[Any]) -> list[int]:
        """Counts of p_unsafe in tenths, from [0, 0.1) to [0.9, 1]."""
        tenths = [0] * 10
        for at, count in self._all(
            "SELECT min(CAST(p_unsafe * 10 AS INTEGER), 9), count(*) FROM records "
            f"WHERE {where} AND typeof(p_unsafe) IN ('real', 'integer') GROUP BY 1",
            values,
        ):
            tenths[max(at, 0)] += count
        return tenths

    def select(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Returns the rows that a statement reads.

        Raises:
            AuditError: The log cannot be read.
        """
        return self._all(statement, values)

    def _all(self, statement: str, values: Sequence[Any]) -> list[Any]:
        try:
            with closing(self._connection.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise AuditError(
                f"the audit log {str(self.path)!r} cannot be read ({error}): verify it"
            ) from error


def _parsed(seq: int, body: str) -> AuditRecord:
    try:
        return parse_body(body)
    except ValueError as error:
        raise AuditError(f"record {seq} of the audit log is damaged: verify the log") from error


def _summary(row: Sequence[Any]) -> Summary:
    seq, time, request, action, category, policy, mode, label, p, refused, finish, total = row
    return Summary(
        seq=seq,
        time=time,
        request=request,
        action=action,
        category=category,
        policy=policy,
        mode=mode,
        label=label,
        p_unsafe=p if isinstance(p, float | int) else None,
        refused=None if refused is None else bool(refused),
        finish=finish,
        total_ms=total,
    )


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    if not ordered:
        return None
    at = q * (len(ordered) - 1)
    low, high = ordered[int(at)], ordered[min(int(at) + 1, len(ordered) - 1)]
    return low + (at - int(at)) * (high - low)
