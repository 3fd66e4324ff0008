"""`AuditLog`: appends records so that an acknowledged one survives a crash, from any process.

Each append is one transaction: it checks the signed head, chains and signs the record, and replaces
the head; it returns once the record is on the disk. It knows nothing of requests or policies.

Rotation. A log that is renamed while it is open takes no more records: appending raises, until
`AuditLog.reopen` is called. Then a new file is begun at the path, whose first record is a signed
link to the end of the old one; `guardrail audit verify NEW --after OLD` checks both. With
logrotate, let `postrotate` signal the process, and

    signal.signal(signal.SIGHUP, lambda *_: log.reopen())

in it; use `delaycompress`, and not `copytruncate`: a log that is cut takes no more records. Where
several processes append to one log, signal any of them, or all: the others follow the link.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.chain import GENESIS, Head, sealed_head, sealed_row
from guardrail.record.audit.continuation import continues, follows, link_to
from guardrail.record.audit.opened import OpenedLog, Place, place_of, removed
from guardrail.record.audit.ownership import require_own
from guardrail.record.audit.record import (
    AuditRecord,
    Calibration,
    Continued,
    Created,
    Thresholds,
    Watching,
)
from guardrail.record.decision import Decision
from guardrail.record.digests import Content, RequestDigests
from guardrail.record.keys import AuditKey, find_key
from guardrail.record.version import __version__

Compose = Callable[[sqlite3.Connection, int], AuditRecord]
"""Makes the record for a place in the log, within the transaction that writes it."""


class AuditLog:
    """An append-only log of decisions in one SQLite file.

    Safe to share between threads, and the file between processes, forked ones too. The file is
    opened (and made, readable by its owner only) with the first append. INVARIANT: once a record is
    written, none is written to another file, or to one that was put back, emptied or exchanged.

    Args:
        path: The log.
        key: Signs the records; by default the environment's, or the user's own, made if need be.
    """

    def __init__(self, path: str | Path, *, key: AuditKey | None = None) -> None:
        self.path = Path(path).expanduser().absolute()
        self._key = key
        self._lock = threading.Lock()
        self._file: OpenedLog | None = None
        self._process = os.getpid()
        self._inherited: list[OpenedLog] = []
        self._seen: Head | None = None
        self._place: Place | None = None
        self._reopening = False
        self._fault: AuditError | None = None

    @property
    def _opened(self) -> sqlite3.Connection | None:
        return self._file.connection if self._file is not None else None

    @property
    def key(self) -> AuditKey:
        """The key that signs this log.

        Raises:
            AuditError: There is none that can be used.
        """
        if self._key is None:
            found = find_key(create=True)
            assert found is not None
            self._key = found
        return self._key

    def append(
        self,
        decision: Decision,
        *,
        kind: Literal["opened", "decision"] = "decision",
        request: RequestDigests | None = None,
        thresholds: Mapping[str, Thresholds] | None = None,
        calibration: Calibration | None = None,
        watching: Watching | None = None,
        content: Content | None = None,
    ) -> int:
        """Adds a record and returns its place, once it is on the disk.

        Args:
            decision: What was decided, stored as it is (see `guardrail.record.audit.redaction`).
            kind: `opened` before the first token, `decision` at the end.
            request: Keyed digests of what was asked.
            thresholds: The policy's effective thresholds, by category.
            calibration: The policy's calibration; `watching`: how it has the answer read.
            content: Words and pictures, if they are to be kept.

        Raises:
            AuditError: The record could not be made durable at the log's path.
        """
        return self.write(
            lambda _, seq: AuditRecord(
                seq=seq,
                time=now(),
                kind=kind,
                decision=decision,
                request=request,
                thresholds=dict(thresholds) if thresholds is not None else None,
                calibration=calibration,
                watching=watching,
                content=content,
            )
        )

    def write(
        self, compose: Compose, *, alongside: Callable[[sqlite3.Connection], None] | None = None
    ) -> int:
        """Adds the record that `compose` makes for its place, in one transaction.

        Args:
            compose: Makes the record for its place.
            alongside: Does more in the same transaction (retention).

        Raises:
            AuditError: Nothing was written.
        """
        with self._lock:
            try:
                if self._reopening:
                    self._reopen()
                opened = self._ready()
                connection = opened.connection
                connection.execute("BEGIN IMMEDIATE")
                try:
                    opened.require_in_place()
                    head = self._appended(connection, compose)
                    if alongside is not None:
                        alongside(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
                self._seen = head
                opened.remember()
            except (sqlite3.Error, OSError) as error:
                raise AuditError(
                    f"the audit log {str(self.path)!r} cannot be written: {error}"
                ) from error
            return head.seq

    def reopen(self) -> bool:
        """Begins a new file, linked to the old one, if the old one was renamed; else does nothing.

        It neither waits nor raises, so that a signal may call it.

        Returns:
            Whether it is done. If not (an append is under way, or it failed), the next append does
            it, and raises if it cannot be done.
        """
        self._reopening = True
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._reopen()
        except (AuditError, sqlite3.Error, OSError):
            return False
        finally:
            self._lock.release()
        return True

    def close(self) -> None:
        """Closes the file; the next append opens it again, if it ends as it did."""
        with self._lock:
            self._leave_parents()
            if self._file is not None:
                self._let_go(self._file)
            self._place = None

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _appended(self, connection: sqlite3.Connection, compose: Compose) -> Head:
        head = self._checked_head(connection)
        seq = head.seq + 1
        body = compose(connection, seq).body()
        row = sealed_row(head.log, seq, head.link, body, self.key)
        store.write_row(connection, row)
        new = sealed_head(head.log, row, self.key)
        store.write_head(connection, new)
        return new

    def _checked_head(self, connection: sqlite3.Connection) -> Head:
        """Returns the head. INVARIANT: nothing is ever chained to a log that was cut or exchanged:
        that would give it a fresh head and hide what was done.
        """
        head = store.read_head(connection)
        if head is None or not self.key.checks(head.message(), head.seal):
            other = head is not None and head.key != self.key.id
            why = (
                f"it was signed with key {head.key}" if head and other else "its head is not signed"
            )
            raise AuditError(
                f"the audit log {str(self.path)!r} is not to be continued with the audit key "
                f"{self.key.id}: {why}"
            )
        if store.last_row(connection) != (head.seq, head.hash, head.signature):
            raise AuditError(
                f"the audit log {str(self.path)!r} does not end with the record that its signed "
                f"head names ({head.seq}): it was altered"
            )
        if self._seen is not None and not follows(connection, head, self._seen, self.key):
            raise AuditError(
                f"the audit log {str(self.path)!r} ends at record {head.seq}, and does not hold "
                f"record {self._seen.seq}, which was written before: an older copy or another log "
                "was put in its place"
            )
        return head

    def _ready(self) -> OpenedLog:
        """Returns the open log, checked to be as it was left."""
        self._leave_parents()
        if self._fault is not None:
            raise AuditError(f"{self._fault}: verify it, and restart") from self._fault
        if self._file is None:
            self._file = self._open()
        opened = self._file
        try:
            opened.require_untouched()
        except (AuditError, sqlite3.Error) as error:
            if isinstance(error, AuditError) and opened.complete:
                self._fault = error  # INVARIANT: a file that was written over is not mended
            self._let_go(opened, clean=False)
            if self._place is None or not self._is_continued():
                raise
            self._place = None
            self._file = self._open()
        return self._file

    def _leave_parents(self) -> None:
        """A connection must not be used, nor closed, across a fork."""
        if self._process != os.getpid():
            if self._file is not None:
                self._inherited.append(self._file)
            self._file, self._process = None, os.getpid()

    def _let_go(self, opened: OpenedLog, *, clean: bool = True) -> None:
        self._file = None
        if not opened.in_place:
            opened.drain()
        opened.close(clean=clean)

    def _open(self) -> OpenedLog:
        """Returns the log, opened, and made if this is the first append."""
        if self._seen is not None and place_of(self.path) is None:
            raise removed(self.path)
        if self._place not in (None, place_of(self.path)) and not self._is_continued():
            raise removed(self.path)
        require_own(self.path)
        if self._seen is None:
            store.make_file(self.path)
        opened = OpenedLog(self.path)
        try:
            self._create_if_new(opened.connection)
        except BaseException:
            opened.close()
            raise
        self._place = opened.place
        return opened

    def _is_continued(self) -> bool:
        """Whether another process has begun the log that follows ours at the path."""
        return self._seen is not None and continues(self.path, self._seen, self.key)

    def _reopen(self) -> None:
        """Begins the file that follows the one that was renamed."""
        self._leave_parents()
        here = place_of(self.path)
        moved = here is None or here != self._place
        if self._seen is None or (self._place is None and here is not None) or not moved:
            self._reopening = False  # nothing was written before, or the file is where it was
            return
        if self._file is not None:
            # What others appended is in the old log too, and no one appends to it any more.
            if not self._file.drain():
                raise AuditError(
                    f"the audit log {str(self.path)!r} is in use: it is reopened later"
                )
            self._seen = self._checked_head(self._file.connection)
            self._file.close()
            self._file = None
        if not self._is_continued():
            require_own(self.path)
            store.make_file(self.path)
            opened = OpenedLog(self.path)
            try:
                self._create_if_new(opened.connection, link_to(self._seen, str(self.path)))
            finally:
                opened.close()
            if not self._is_continued():
                raise removed(self.path)
        self._reopening, self._place, self._fault = False, None, None

    def _create_if_new(self, connection: sqlite3.Connection, link: Continued | None = None) -> None:
        if not store.is_empty(connection, self.path):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if store.is_empty(connection, self.path):
                if self._seen is not None and link is None:
                    raise removed(self.path)
                store.create_tables(connection)
                log, key = uuid.uuid4().hex, self.key
                created = Created(log=log, key=key.id, algorithm=key.algorithm, library=__version__)
                record = AuditRecord(
                    seq=0, time=now(), kind="created", created=created, continues=link
                )
                row = sealed_row(log, 0, GENESIS, record.body(), key)
                store.write_row(connection, row)
                store.write_head(connection, sealed_head(log, row, key))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def now() -> str:
    """Returns the time in UTC, ISO 8601 with milliseconds."""
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
