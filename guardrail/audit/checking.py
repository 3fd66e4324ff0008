"""Verifies a log where it lies: a database or an exported file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from guardrail.audit.interchange import DatabaseSource, ExportSource, is_export
from guardrail.audit.keys import AuditKey
from guardrail.audit.queries import LogReader
from guardrail.audit.verification import Problem, Verification, verify


def verify_path(
    path: Path, key: AuditKey | None, *, anchor: tuple[int, str] | None = None
) -> Verification:
    """Checks the log at `path`.

    Args:
        path: A database or an export.
        key: As for `verify`.
        anchor: As for `verify`.

    Raises:
        AuditError: There is no log to check.
    """
    if path.is_file() and is_export(path):
        return verify(ExportSource(path), key, anchor=anchor)
    with LogReader(path) as reader:
        try:
            with reader.unchanging() as connection:
                return verify(DatabaseSource(connection), key, anchor=anchor)
        except sqlite3.DatabaseError as error:
            problem = Problem("tables", None, f"the database is damaged: {error}")
            return Verification("", 0, None, None, None, key is not None, 0, problem)
