"""Whether a file may be taken for an audit log: looked at without a trace, before it is opened.

A file that is another program's is never written to, locked, recovered or given a file beside it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from guardrail.errors import AuditError

APPLICATION_ID = 0x67726C61  # "grla"
SCHEMA_VERSION = 1
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Imprint(NamedTuple):
    """What a database says it is: all zero in an empty one."""

    application: int
    version: int
    objects: int


EMPTY = Imprint(0, 0, 0)


def uri_of(path: Path | str, options: str) -> str:
    """Returns the URI by which SQLite opens `path`."""
    return f"file:{quote(str(Path(path).absolute()))}?{options}"


def imprint_of(connection: sqlite3.Connection) -> Imprint:
    """Returns what the database is.

    Raises:
        sqlite3.Error: It is no database.
    """
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [objects] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return Imprint(application, version, objects)


def require_own(path: Path) -> None:
    """Checks that `path` is an audit log, or nothing yet: missing, or empty.

    Nothing is changed, made, or locked.

    Raises:
        AuditError: It is something else, or a log that was emptied.
    """
    waiting = _size(Path(f"{os.path.realpath(path)}-wal"))
    # INVARIANT: the write-ahead log is looked at first. A log that is being made has a first page
    # before it has that, so that one without the other was not made by us a moment ago.
    try:
        status = os.stat(path)
    except FileNotFoundError:
        status = None
    except OSError as error:
        raise AuditError(f"cannot open the audit log {str(path)!r}: {error.strerror}") from error
    if status is not None and not stat.S_ISREG(status.st_mode):
        what = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise no_log(path, f"it is {what}")
    if status is None or status.st_size == 0:
        if waiting:
            done = "was removed" if status is None else "was emptied"
            raise AuditError(
                f"the audit log {str(path)!r} {done}, and its '-wal' file is still there with "
                "records in it: put the log back, or move that file away to begin a new one"
            )
        return
    require_imprint(path, _found(path, waiting=bool(waiting)))


def require_imprint(path: Path, found: Imprint) -> None:
    """Checks what a database says it is.

    Raises:
        AuditError: It is another program's, or of another version of this library.
    """
    if found == EMPTY:
        return
    if found.application != APPLICATION_ID:
        if found.application == 0:
            raise no_log(path, "it is another program's database")
        raise no_log(path, f"its application id is {found.application:#x}")
    if found.version != SCHEMA_VERSION:
        raise no_log(path, f"its schema is of version {found.version}, expected {SCHEMA_VERSION}")


def is_database(path: Path) -> bool:
    """Whether `path` is a database of whatever program, or cannot be looked at."""
    try:
        _look(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB
    return True


def no_log(path: Path, why: object) -> AuditError:
    """Returns the error about a file that is not a log."""
    return AuditError(f"{str(path)!r} is no audit log of this library: {why}")


def _found(path: Path, *, waiting: bool) -> Imprint:
    try:
        found = _look(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise _unreadable(path, error) from error
        found = None  # cut off, or a checkpoint is being written this moment
    if found is not None and (found != EMPTY or not waiting):
        return found
    try:  # all that there is may still stand in the write-ahead log
        return _look(path, "mode=ro")
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def _look(path: Path, options: str) -> Imprint:
    """Opens through SQLite: closing a file of one's own gives up every lock that this process holds
    on it, those of other connections too. `immutable` looks at the one file as it lies.
    """
    with closing(sqlite3.connect(uri_of(path, options), uri=True, timeout=5.0)) as connection:
        return imprint_of(connection)


def _unreadable(path: Path, error: sqlite3.Error) -> AuditError:
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
        return no_log(path, error)
    return AuditError(f"cannot read the audit log {str(path)!r}: {error}")


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
