"""A log's file while it is open: whether it is still the one at its path, as it was left.

SQLite goes on writing to a file that was deleted or renamed, and does not see what others do to the
file beneath it. So the names, inodes and sizes of the database, its write-ahead log and its shared
memory are compared before every append: three calls of `stat`. It knows nothing of records.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.chain import Head
from guardrail.record.audit.ownership import uri_of

BESIDE = ("-wal", "-shm")
_PATIENCE_S = 5.0
_FRAME_BYTES, _WAL_HEADER_BYTES = 24, 32


class Place(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


class _Stamp(NamedTuple):
    size: int
    modified: int
    changed: int


class OpenedLog:
    """The connection that appends to a log, and where its files lie.

    Args:
        path: An existing file, known to be a log's or empty.

    Attributes:
        connection: For writing.
        place: Which file it is.

    Raises:
        AuditError: It is exchanged this moment.
        sqlite3.Error: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._real = path, os.path.realpath(path)
        self.place = place_of(path)
        self.connection = store.open_file(path)
        pin = None
        try:
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            pin = sqlite3.connect(
                uri_of(self._real, "mode=ro"), uri=True, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            pin.execute("SELECT count(*) FROM sqlite_master").fetchall()
            files = {f"{self._real}{end}": place_of(f"{self._real}{end}") for end in BESIDE}
            if place_of(path) != self.place or None in files.values():
                raise AuditError(f"the audit log {str(path)!r} was removed while it was opened")
        except BaseException:
            self.connection.close()
            if pin is not None:
                pin.close()
            raise
        self._files = files
        self._base: Head | None = None
        with suppress(sqlite3.Error):  # another process may be moving records into it
            self._base = store.base_head(self._real)
        self._stamp = self._stamped()
        self._waiting = _size(f"{self._real}-wal")
        self._pin = pin
        self._closing = weakref.finalize(
            self, _let_go, self.connection, pin, {self._real: self.place, **files}, os.getpid()
        )

    def close(self, *, clean: bool = True) -> None:
        """Closes the connection. INVARIANT: a file that is not ours is not deleted by it.

        Args:
            clean: Whether the write-ahead log may be moved into the file.
        """
        if not clean:
            self.connection.close()
            self._pin.close()
        self._closing()

    @property
    def complete(self) -> bool:
        """Whether every file is still in its place, whatever was done to it."""
        return self.in_place and all(place_of(name) == at for name, at in self._files.items())

    @property
    def in_place(self) -> bool:
        """Whether the file is still the one at the log's path."""
        return self.place is not None and place_of(self._path) == self.place

    def require_in_place(self) -> None:
        """Checks that the open files are the ones at their paths.

        Raises:
            AuditError: One was removed, exchanged or emptied.
        """
        if not self.in_place:
            raise removed(self._path)
        for name, place in self._files.items():
            if place_of(name) != place:
                raise AuditError(
                    f"the audit log {str(self._path)!r} cannot be relied on: its file {name!r} was "
                    "removed while it was open, and with it what was written last"
                )

    def require_untouched(self) -> None:
        """Checks what `require_in_place` does, and that nobody but SQLite wrote to the files, as
        far as their sizes and times tell. Not within a transaction.

        Raises:
            AuditError: One was exchanged, cut or overwritten.
            sqlite3.Error: It cannot be read.
        """
        self.require_in_place()
        stamp, waiting = self._stamped(), _size(f"{self._real}-wal")
        if waiting < self._waiting:
            self._require_whole_wal(waiting)
        if stamp != self._stamp:
            self._require_descent(shrunk=stamp.size < self._stamp.size)
            self._stamp = stamp
        self._waiting = waiting

    def remember(self) -> None:
        """Takes note of what was just appended, after the check that it is in place.

        Raises:
            AuditError: It is not.
        """
        self.require_in_place()
        self._waiting = _size(f"{self._real}-wal")

    def drain(self) -> bool:
        """Moves all that waits in the write-ahead log into the file itself, wherever that is by
        now, and takes away what then lies beside the log's path. Returns whether it could.
        """
        with suppress(sqlite3.Error):
            [busy, _, _] = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                for name, place in self._files.items():
                    if place_of(name) == place:
                        # A new log at this path must not take these for its own.
                        with suppress(OSError):
                            os.unlink(name)
                return True
        return False

    def _stamped(self) -> _Stamp:
        try:
            status = os.stat(self._path)
        except OSError as error:
            raise removed(self._path) from error
        return _Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _require_whole_wal(self, size: int) -> None:
        """SQLite itself shortens it only when nothing is left in it."""
        [page] = self.connection.execute("PRAGMA page_size").fetchone()
        try:
            [_, frames, _] = self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise self._overwritten("its '-wal' file was cut") from error
        if frames > 0 and size < _WAL_HEADER_BYTES + frames * (page + _FRAME_BYTES):
            raise self._overwritten("its '-wal' file was cut")

    def _require_descent(self, *, shrunk: bool) -> None:
        """Whoever writes to the file moves records into it, in the order in which they were
        appended: its own head, the write-ahead log left aside, is on our chain and never goes back.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                base = store.base_head(self._real)
                break
            except sqlite3.Error as error:
                if self._stamped().size == 0:
                    raise self._overwritten("it was emptied") from error
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                    raise self._overwritten("it was overwritten") from error
                # Another process is about to move records into it, or died while it did.
                if time.monotonic() > deadline:
                    raise self._overwritten("it was cut or overwritten") from error
                if not shrunk:
                    with suppress(sqlite3.Error):
                        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                time.sleep(0.02)
        if base is None and self._stamped().size == 0:
            raise self._overwritten("it was emptied")
        before, self._base = self._base, base
        if base == before:
            return
        if base is None or (before and (base.log != before.log or base.seq < before.seq)):
            raise self._overwritten("an older copy or another log was written over it")
        row, last = store.row_hash(self.connection, base.seq), store.last_row(self.connection)
        if (row is not None and row != base.hash) or (last is not None and last[0] < base.seq):
            raise self._overwritten("another log was written over it")

    def _overwritten(self, what: str) -> AuditError:
        return AuditError(
            f"the audit log {str(self._path)!r} is not as it was left: {what} while it was open"
        )


def removed(path: Path) -> AuditError:
    """Returns the error about a log that is not where it was."""
    other = os.path.lexists(path)
    return AuditError(
        f"the audit log {str(path)!r} was removed or renamed while it was in use"
        + (", and another file is in its place" if other else "")
        + ": put it back, or have it reopened if it was rotated"
    )


def place_of(path: Path | str) -> Place | None:
    """Returns which file is at `path`; None if there is none, or none that can be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Place(status.st_dev, status.st_ino)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _let_go(
    connection: sqlite3.Connection,
    pin: sqlite3.Connection,
    files: dict[str, Place | None],
    process: int,
) -> None:
    """Closes a log's connections.

    The last one that SQLite closes moves the write-ahead log into the file and deletes it by name,
    whosever it is by now. While the pin, which cannot write, is open, the other is not the last.
    """
    if os.getpid() != process:
        return  # INVARIANT: what was opened before a fork is not closed after it
    ours = all(place_of(name) == place for name, place in files.items())
    for each in (pin, connection) if ours else (connection, pin):
        with closing(each), suppress(sqlite3.Error):
            each.rollback()
