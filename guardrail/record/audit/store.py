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

from guardrail.errors import AuditError
from guardrail.record.audit.chain import Head, Row
from guardrail.record.audit.ownership import (
    APPLICATION_ID,
    EMPTY,
    SCHEMA_VERSION,
    imprint_of,
    no_log,
    require_imprint,
    require_own,
    uri_of,
)

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


def make_file(path: Path) -> None:
    """Makes the file if there is none, readable by its owner only.

    Raises:
        AuditError: It cannot be made.
    """
    try:
        # INVARIANT: a file that exists is not opened here: closing it would give up the locks that
        # other connections of this process hold on it.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise AuditError(f"cannot open the audit log {str(path)!r}: {error.strerror}") from error


def connect(path: Path) -> sqlite3.Connection:
    """Opens a log for writing, and makes the file if there is none; its tables may be missing.

    Raises:
        AuditError: It cannot be opened, or is no audit log; it is then left as it is.
        sqlite3.Error: It is damaged, or locked.
    """
    require_own(path)
    make_file(path)
    return open_file(path)


def open_file(path: Path) -> sqlite3.Connection:
    """Opens an existing file for writing, which is known to be a log's.

    Raises:
        AuditError: Its file system cannot hold a log.
        sqlite3.Error: It is missing, damaged, or locked.
    """
    connection = sqlite3.connect(
        uri_of(path, "mode=rw"),
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
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
    require_own(path)
    where = uri_of(path, "mode=ro")
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
            untouched = not os.path.exists(f"{os.path.realpath(path)}-wal")
            if uri == where and error.sqlite_errorcode & 0xFF in _UNWRITABLE and untouched:
                continue
            raise AuditError(f"cannot read the audit log {str(path)!r}: {error}") from error
        if found != APPLICATION_ID:
            connection.close()
            raise no_log(path, "it is empty")
        return connection
    raise AssertionError  # pragma: no cover


def create_tables(connection: sqlite3.Connection) -> None:
    """Makes the tables of an empty log, within the caller's transaction."""
    for statement in SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the log has yet to be created.

    Raises:
        AuditError: What is there is no audit log.
    """
    found = imprint_of(connection)
    require_imprint(path, found)
    return found == EMPTY


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


def base_head(path: str) -> Head | None:
    """Returns the head in the file itself, what waits in the write-ahead log left aside; None if
    all of the log still waits there.

    Raises:
        sqlite3.Error: It cannot be read, or not while a checkpoint is being written.
    """
    with closing(
        sqlite3.connect(uri_of(path, "mode=ro&immutable=1"), uri=True, isolation_level=None)
    ) as connection:
        return None if imprint_of(connection) == EMPTY else read_head(connection)


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


def row_hash(connection: sqlite3.Connection, seq: int) -> str | None:
    """Returns the hash of one record; None if it is not there."""
    found = connection.execute("SELECT hash FROM records WHERE seq = ?", (seq,)).fetchone()
    return str(found[0]) if found is not None else None


def pruned(connection: sqlite3.Connection, seq: int) -> bool:
    """Whether a checkpoint says that retention has removed record `seq`."""
    found = connection.execute(
        "SELECT json_extract(body, '$.checkpoint.through') FROM records "
        "WHERE kind = 'checkpoint' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return found is not None and isinstance(found[0], int) and found[0] >= seq


def first_row(connection: sqlite3.Connection) -> Row | None:
    """Returns record 0; None if retention has removed it."""
    row = next(read_rows(connection, start=0), None)
    return row if row is not None and row.seq == 0 else None


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
