"""What can be asked of a log: lists, single records, counts and rates. Reading only.

Everything is answered from an index, so that a hundred thousand records are no burden. What is read
is shown as it lies in the file: whether it was altered is for `verification` to say.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from guardrail.errors import AuditError
from guardrail.policy.terms import Action
from guardrail.record.audit import store
from guardrail.record.audit.record import AuditRecord, parse_body

ACTIONS: tuple[Action, ...] = ("comply", "plain", "refuse", "block", "escalate")
PAGE = 50


@dataclass(frozen=True)
class Filter:
    """Which decisions are asked for; None asks for all.

    Attributes:
        category: The category that decided; an empty text stands for none.
        since: The earliest time, ISO 8601.
        until: The time before which.
        request: The beginning of a request's id.
    """

    action: str | None = None
    category: str | None = None
    policy: str | None = None
    since: str | None = None
    until: str | None = None
    request: str | None = None

    def sql(self) -> tuple[str, list[Any]]:
        """Returns the conditions and their values."""
        conditions, values = ["kind = 'decision'"], list[Any]()
        if self.category == "":
            conditions.append("category IS NULL")
        equal = {"action": self.action, "category": self.category or None, "policy": self.policy}
        for name, value in equal.items():
            if value is not None:
                conditions.append(f"{name} = ?")
                values.append(value)
        for name, compared, value in (("time", ">=", self.since), ("time", "<", self.until)):
            if value is not None:
                conditions.append(f"{name} {compared} ?")
                values.append(value)
        if self.request:
            conditions.append("request >= ? AND request < ?")
            values += [self.request, self.request + "\U0010ffff"]
        return " AND ".join(conditions), values


@dataclass(frozen=True)
class Summary:
    """A decision in one line."""

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


@dataclass(frozen=True)
class Bucket:
    """The decisions of one stretch of time, by action and by deciding category."""

    start: str
    actions: dict[str, int]
    categories: dict[str, int]

    @property
    def total(self) -> int:
        """How many decisions."""
        return sum(self.actions.values())


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
        where, values = chosen.sql()
        # Without conditions the newest are found at the end of the table; with some, by the index.
        hint = "NOT INDEXED" if chosen == Filter() else ""
        if after is not None:
            where, values = f"{where} AND seq > ?", [*values, after]
        if before is not None:
            where, values = f"{where} AND seq < ?", [*values, before]
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
        """Returns the places of the decisions before and after `seq`."""
        [[before, after]] = self._all(
            "SELECT (SELECT max(seq) FROM records WHERE kind = 'decision' AND seq < ?), "
            "(SELECT min(seq) FROM records WHERE kind = 'decision' AND seq > ?)",
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
        start, length = _stretches(_moment(first), _moment(last), most)
        # Whole hours, minutes or seconds are counted by SQLite, and put together here.
        digits = (
            13 if length >= timedelta(hours=1) else 16 if length >= timedelta(minutes=1) else 19
        )
        rows = self._all(
            f"SELECT substr(time, 1, {digits}) AS at, action, coalesce(category, ''), count(*) "
            f"FROM records WHERE {where} GROUP BY 1, 2, 3",
            values,
        )
        places = int((_moment(last) - start) / length) + 1
        found = [Bucket(_spelled(start + at * length), {}, {}) for at in range(places)]
        for moment, action, category, count in rows:
            begun = _moment(moment + "0000-01-01T00:00:00Z"[len(moment) :])
            bucket = found[min(max(int((begun - start) / length), 0), places - 1)]
            bucket.actions[action] = bucket.actions.get(action, 0) + count
            bucket.categories[category] = bucket.categories.get(category, 0) + count
        return found

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
            "refusal_rate": (refused or 0) / answered if answered else None,
            "p_unsafe": self._histogram(where, values),
            "total_ms": {"p50": _quantile(times, 0.5), "p95": _quantile(times, 0.95)},
            "unfinished": len(self.unfinished(limit=1000)),
        }

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


_LENGTHS = [
    timedelta(seconds=seconds)
    for seconds in (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400)
]


def _stretches(first: datetime, last: datetime, most: int) -> tuple[datetime, timedelta]:
    """Returns where the first stretch begins, on a round time, and how long each is."""
    needed = (last - first) / max(most - 1, 1)
    length = next((each for each in _LENGTHS if each >= needed), None)
    if length is None:
        length = timedelta(days=math.ceil(needed / timedelta(days=1)))
    seconds = length.total_seconds()
    begun = math.floor(first.timestamp() / seconds) * seconds
    return datetime.fromtimestamp(begun, timezone.utc), length


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise AuditError(f"{text!r} in the audit log is no time: verify it") from error


def _spelled(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None
