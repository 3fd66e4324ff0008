"""The SQLite file that holds a log: its tables, how it is opened, and raw reads.

Columns that are searched are computed by SQLite from the stored body, so that nothing can be shown
that was not hashed. It knows nothing of decisions.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from guardrail.errors import AuditError
from guardrail.record.audit.chain import Head, Row

APPLICATION_ID = 0x67726C61  # "grla"
BUSY_TIMEOUT_S = 30.0
_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

_COMPUTED = {
    "time": "$.time",
    "kind": "$.kind",
    "request": "$.decision.request_id",
    "action": "$.decision.action",
    "category": "$.decision.category",
    "policy": "$.decision.policy.name",
    "mode": "$.decision.mode",
    "label": "$.decision.verdict.label",
    "p_unsafe": "$.decision.verdict.p_unsafe",
    "refused": "$.decision.outcome.refused",
    "finish": "$.decision.outcome.finish_reason",
    "total_ms": "$.decision.timings_ms.total",
}
_COLUMNS = ", ".join(
    f"{name} GENERATED ALWAYS AS (json_extract(body, '{path}')) VIRTUAL"
    for name, path in _COMPUTED.items()
)
NO_DELETE = (
    "CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
)
SCHEMA = {
    "records": "CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, "
    f"hash TEXT NOT NULL, signature TEXT NOT NULL, {_COLUMNS})",
    "head": "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), log TEXT NOT NULL, "
    "key TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, signature TEXT NOT NULL, "
    "seal TEXT NOT NULL)",
    "records_are_not_altered": "CREATE TRIGGER records_are_not_altered BEFORE UPDATE ON records "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "records_are_not_deleted": NO_DELETE,
    "records_by_summary": "CREATE INDEX records_by_summary ON records (kind, time, action, "
    "category, policy, mode, label, refused, finish, p_unsafe, total_ms)",
    "records_by_request": "CREATE INDEX records_by_request ON records (request, kind)",
}
"""Every object of the database and the statement that made it."""


def connect(path: Path) -> sqlite3.Connection:
    """Opens a log for writing, and makes the file if there is none; its tables may be missing.

    Raises:
        AuditError: It cannot be opened.
        sqlite3.Error: It is no database, or is locked.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise AuditError(f"cannot open the audit log {str(path)!r}: {error.strerror}") from error
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        _use_wal(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switches to write-ahead logging; SQLite does not wait by itself while others do the same."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise AuditError(f"the audit log's file system allows no write-ahead log, only {mode!r}")


def open_read_only(path: Path) -> sqlite3.Connection:
    """Opens an existing log for reading; writers may go on meanwhile.

    Raises:
        AuditError: It does not exist or is no audit log.
    """
    if not path.is_file():
        raise AuditError(f"there is no audit log {str(path)!r}")
    where = f"file:{quote(str(path.absolute()))}?mode=ro"
    for uri in (where, f"{where}&immutable=1"):
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA query_only = ON")
            [found] = connection.execute("PRAGMA application_id").fetchone()
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            # A folder that cannot be written to holds no shared memory: read the file as it lies.
            untouched = not path.with_name(path.name + "-wal").exists()
            if uri == where and error.sqlite_errorcode & 0xFF in _UNWRITABLE and untouched:
                continue
            raise AuditError(f"cannot read the audit log {str(path)!r}: {error}") from error
        if found != APPLICATION_ID:
            connection.close()
            raise AuditError(f"{str(path)!r} is no audit log of this library")
        return connection
    raise AssertionError  # pragma: no cover


def create_tables(connection: sqlite3.Connection) -> None:
    """Makes the tables of an empty log, within the caller's transaction."""
    for statement in SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the log was created."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone()
    return found is not None


def altered_tables(connection: sqlite3.Connection) -> str | None:
    """Returns the name of a table, trigger or index that is not as it was made, or None."""
    found = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
    )
    names = (*SCHEMA, *sorted(found.keys() - SCHEMA.keys()))
    return next((name for name in names if found.get(name) != SCHEMA.get(name)), None)


def misfit(connection: sqlite3.Connection) -> str | None:
    """Returns the first thing in which pages or indexes do not fit the records, or None.

    Raises:
        sqlite3.Error: The database is damaged beyond reading, or the check was interrupted.
    """
    [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if found == "ok" else str(found)


def read_head(connection: sqlite3.Connection) -> Head | None:
    """Returns the head, None if it is missing."""
    row = connection.execute(
        "SELECT log, key, seq, hash, signature, seal FROM head WHERE id = 1"
    ).fetchone()
    return Head(*row) if row is not None else None


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Replaces the head, within the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO head (id, log, key, seq, hash, signature, seal) "
        "VALUES (1, ?, ?, ?, ?, ?, ?)",
        (head.log, head.key, head.seq, head.hash, head.signature, head.seal),
    )


def write_row(connection: sqlite3.Connection, row: Row) -> None:
    """Adds a record, within the caller's transaction."""
    connection.execute(
        "INSERT INTO records (seq, body, hash, signature) VALUES (?, ?, ?, ?)",
        (row.seq, row.body.decode("utf-8"), row.hash, row.signature),
    )


def last_row(connection: sqlite3.Connection) -> tuple[int, str, str] | None:
    """Returns the last record's (seq, hash, signature)."""
    found: tuple[int, str, str] | None = connection.execute(
        "SELECT seq, hash, signature FROM records ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return found


def read_rows(connection: sqlite3.Connection, *, start: int = -(2**63)) -> Iterator[Row]:
    """Yields records from `start` on, in order, as raw bytes."""
    with closing(connection.cursor()) as cursor:
        cursor.row_factory = None
        cursor.execute(
            "SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB), CAST(signature AS BLOB), "
            "typeof(body) || typeof(hash) || typeof(signature) "
            "FROM records WHERE seq >= ? ORDER BY seq",
            (start,),
        )
        for seq, body, digest, signature, types in cursor:
            yield Row(
                seq,
                body or b"",
                (digest or b"").decode("utf-8", "surrogateescape"),
                (signature or b"").decode("utf-8", "surrogateescape"),
                types == "texttexttext",
            )
