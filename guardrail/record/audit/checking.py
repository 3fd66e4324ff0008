"""Verifies a log where it lies: a database or an exported file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.continuation import broken_link
from guardrail.record.audit.interchange import DatabaseSource, ExportSource, is_export
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.verification import Problem, Verification, verify
from guardrail.record.keys import AuditKey

_UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BEGINNING = 1 << 16


def verify_path(
    path: Path,
    key: AuditKey | None,
    *,
    anchor: tuple[int, str] | None = None,
    after: Path | None = None,
) -> Verification:
    """Checks the log at `path`.

    Of a database, its indexes are checked as well: lists and counts are read from them.

    Args:
        path: A database or an export.
        key: As for `verify`.
        anchor: As for `verify`.
        after: The log before it, from which it was rotated: that is checked as well, and whether
            the one begins where the other ends.

    Raises:
        AuditError: There is no log to check.
    """
    if after is not None:
        return _verified_after(path, after, key, anchor)
    if path.is_file() and is_export(path):
        return verify(ExportSource(path), key, anchor=anchor)
    try:
        with LogReader(path) as reader, _indexes(path) as indexes:
            with reader.unchanging() as connection:
                found = verify(DatabaseSource(connection), key, anchor=anchor)
            wrong = indexes.result() if found.ok else None
    except sqlite3.DatabaseError as error:
        return _damaged(f"the database is damaged: {error}", key)
    except AuditError as error:
        if not _was_a_log(path, error):
            raise
        return _damaged(f"the file is damaged: {error.__cause__ or error}", key)
    if wrong is None:
        return found
    return replace(found, problem=Problem("tables", None, f"the database is damaged: {wrong}"))


def _verified_after(
    path: Path, after: Path, key: AuditKey | None, anchor: tuple[int, str] | None
) -> Verification:
    found = verify_path(path, key, anchor=anchor)
    if not found.ok:
        return found
    old = verify_path(after, key)
    problem = broken_link(found, old)
    if old.problem is not None:
        why = f"the log before it, {str(after)!r}: {old.problem.message}"
        problem = Problem(old.problem.kind, old.problem.seq, why)
    return replace(found, problem=problem)


@contextmanager
def _indexes(path: Path) -> Iterator[Future[str | None]]:
    """A with-block beside which the indexes are compared with the records, in a thread: it takes
    as long as the check of the chain, and SQLite lets go of the interpreter.
    """
    with closing(store.open_read_only(path)) as connection, ThreadPoolExecutor(1) as pool:
        compared = pool.submit(store.misfit, connection)
        try:
            yield compared
        finally:
            connection.interrupt()


def _damaged(message: str, key: AuditKey | None) -> Verification:
    return Verification(
        "", 0, None, None, None, key is not None, 0, Problem("tables", None, message)
    )


def _was_a_log(path: Path, error: AuditError) -> bool:
    """Whether what cannot be opened any more bears the marks of an audit log."""
    try:
        with path.expanduser().open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    if store.SCHEMA["records"].encode() in beginning:
        return True
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return beginning.startswith(b"SQLite format 3\x00") and code in _UNREADABLE
