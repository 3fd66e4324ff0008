"""Removes the oldest records and leaves a signed checkpoint that stands for them.

The checkpoint is a record like any other, chained and signed; it holds the hash and signature that
the first record left is chained to, so that the rest verifies as before.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.interchange import DatabaseSource
from guardrail.record.audit.log import AuditLog, now
from guardrail.record.audit.record import AuditRecord, Checkpoint, parse_body
from guardrail.record.audit.verification import verify

_NO_PLACE = -1


@dataclass(frozen=True)
class Pruned:
    """What retention removed.

    Attributes:
        removed: How many records.
        through: The last of them; None if there was nothing to remove.
        kept: How many are left, the checkpoint included.
    """

    removed: int
    through: int | None
    kept: int


def prune(log: AuditLog, *, older_than: timedelta | None = None, keep: int | None = None) -> Pruned:
    """Removes records from the beginning of a log.

    Args:
        log: An existing log, with the key that signs it.
        older_than: Removes what was written longer ago than this.
        keep: Removes what is not among the newest `keep` records; checkpoints do not count.

    Raises:
        AuditError: The log cannot be written, or neither limit is given.
    """
    if older_than is None and keep is None:
        raise AuditError("nothing says what to remove: give an age or a number of records to keep")
    if keep is not None and keep < 0:
        raise AuditError(f"keep is {keep}, expected 0 or more")
    if not log.path.is_file():
        raise AuditError(f"there is no audit log {str(log.path)!r}")
    _require_sound(log)
    removed, through = 0, _NO_PLACE

    def compose(connection: sqlite3.Connection, seq: int) -> AuditRecord:
        nonlocal removed, through
        last = _last_to_remove(connection, older_than, keep)
        if last is None:
            raise _Nothing
        through = last
        checkpoint = _checkpoint(connection, through)
        removed = checkpoint.records - _removed_before(connection)
        return AuditRecord(seq=seq, time=now(), kind="checkpoint", checkpoint=checkpoint)

    def delete(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER records_are_not_deleted")
        connection.execute("DELETE FROM records WHERE seq <= ?", (through,))
        connection.execute(store.NO_DELETE)

    with suppress(_Nothing):
        log.write(compose, alongside=delete)
        _shrink(log)
    return Pruned(removed, through if removed else None, _count(log))


class _Nothing(Exception):
    """There is nothing to remove."""


def _require_sound(log: AuditLog) -> None:
    """INVARIANT: retention never removes the traces of tampering."""
    with closing(store.open_read_only(log.path)) as connection:
        connection.execute("BEGIN")
        found = verify(DatabaseSource(connection), log.key)
    if found.problem is not None:
        raise AuditError(
            f"the audit log {str(log.path)!r} does not verify, and nothing was removed: "
            f"{found.problem.message}"
        )


def _last_to_remove(
    connection: sqlite3.Connection, older_than: timedelta | None, keep: int | None
) -> int | None:
    [last] = connection.execute("SELECT max(seq) FROM records").fetchone()
    through = -1
    if older_than is not None:
        cutoff = (datetime.now(timezone.utc) - older_than).isoformat(timespec="milliseconds")
        [young] = connection.execute(
            "SELECT min(seq) FROM records WHERE kind IN "
            "('created', 'opened', 'decision', 'failed', 'checkpoint') AND time >= ?",
            (cutoff.replace("+00:00", "Z"),),
        ).fetchone()
        through = last if young is None else young - 1
    if keep is not None:
        older = connection.execute(
            "SELECT seq FROM records WHERE kind IS NOT 'checkpoint' ORDER BY seq DESC LIMIT 1 "
            "OFFSET ?",
            (keep,),
        ).fetchone()
        through = max(through, older[0] if older is not None else -1)
    # A checkpoint alone is not replaced by another one.
    more = connection.execute(
        "SELECT 1 FROM records WHERE seq <= ? AND kind IS NOT 'checkpoint' LIMIT 1", (through,)
    ).fetchone()
    return through if more is not None else None


def _checkpoint(connection: sqlite3.Connection, through: int) -> Checkpoint:
    digest, signature, last_time = connection.execute(
        "SELECT hash, signature, time FROM records WHERE seq = ?", (through,)
    ).fetchone()
    [first_time] = connection.execute("SELECT time FROM records ORDER BY seq LIMIT 1").fetchone()
    [count] = connection.execute(
        "SELECT count(*) FROM records WHERE seq <= ?", (through,)
    ).fetchone()
    actions = Counter(
        dict(
            connection.execute(
                "SELECT action, count(*) FROM records WHERE kind = 'decision' AND seq <= ? "
                "GROUP BY action",
                (through,),
            ).fetchall()
        )
    )
    earlier = _newest_checkpoint(connection)
    if earlier is not None:
        actions += Counter(earlier.decisions)
        count, first_time = count + earlier.records, earlier.first_time
    return Checkpoint(
        through=through,
        hash=digest,
        signature=signature,
        records=count,
        decisions=dict(sorted(actions.items())),
        first_time=first_time,
        last_time=last_time,
    )


def _newest_checkpoint(connection: sqlite3.Connection) -> Checkpoint | None:
    found = connection.execute(
        "SELECT body FROM records WHERE kind = 'checkpoint' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return parse_body(found[0]).checkpoint if found is not None else None


def _removed_before(connection: sqlite3.Connection) -> int:
    earlier = _newest_checkpoint(connection)
    return earlier.records if earlier is not None else 0


def _count(log: AuditLog) -> int:
    with closing(store.open_read_only(log.path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM records").fetchone()[0]
        return count


def _shrink(log: AuditLog) -> None:
    """Gives the space back, so that nothing of what was removed is left in the file. Where others
    hold the file at the moment, a later pruning does it.
    """
    with suppress(sqlite3.Error), closing(store.connect(log.path)) as connection:
        connection.execute("PRAGMA busy_timeout = 2000")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
