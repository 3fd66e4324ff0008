"""`AuditLog`: appends records so that an acknowledged one survives a crash, from any process.

Each append is one transaction: it checks the signed head, chains and signs the record, and replaces
the head; it returns once the record is on the disk. It knows nothing of requests or policies.
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
from guardrail.record.audit.keys import AuditKey, find_key
from guardrail.record.audit.record import (
    AuditRecord,
    Calibration,
    Content,
    Created,
    RequestDigests,
    Thresholds,
)
from guardrail.record.decision import Decision
from guardrail.record.version import __version__

Compose = Callable[[sqlite3.Connection, int], AuditRecord]
"""Makes the record for a place in the log, within the transaction that writes it."""


class AuditLog:
    """An append-only log of decisions in one SQLite file.

    Safe to share between threads, and the file between processes, forked ones too. The file is
    opened (and made, readable by its owner only) with the first append.

    Args:
        path: The log.
        key: Signs the records; by default the key from the environment, or the user's own key,
            which is made if there is none.
    """

    def __init__(self, path: str | Path, *, key: AuditKey | None = None) -> None:
        self.path = Path(path).expanduser().absolute()
        self._key = key
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        self._seen: tuple[str, int] | None = None

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
        content: Content | None = None,
    ) -> int:
        """Adds a record and returns its place, once it is on the disk.

        Args:
            decision: What was decided; it is stored as it is, words of its tokens included (see
                `guardrail.record.audit.redaction`).
            kind: `opened` before the first token, `decision` at the end.
            request: Keyed digests of what was asked.
            thresholds: The policy's effective thresholds, by category.
            calibration: The policy's calibration.
            content: Words and pictures, if they are to be kept.

        Raises:
            AuditError: The record could not be made durable; it is then not in the log.
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
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    seq = self._appended(connection, compose)
                    if alongside is not None:
                        alongside(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                raise AuditError(
                    f"the audit log {str(self.path)!r} cannot be written: {error}"
                ) from error
            return seq

    def close(self) -> None:
        """Closes the file; the next append opens it again."""
        with self._lock:
            if self._opened is not None and self._process == os.getpid():
                self._opened.close()
            self._opened = None

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _appended(self, connection: sqlite3.Connection, compose: Compose) -> int:
        head = self._checked_head(connection)
        seq = head.seq + 1
        body = compose(connection, seq).body()
        row = sealed_row(head.log, seq, head.link, body, self.key)
        store.write_row(connection, row)
        store.write_head(connection, sealed_head(head.log, row, self.key))
        self._seen = (head.log, seq)
        return seq

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
        if self._seen is not None and (self._seen[0] != head.log or self._seen[1] > head.seq):
            raise AuditError(
                f"the audit log {str(self.path)!r} ends at record {head.seq}, and record "
                f"{self._seen[1]} was written before: an older copy was put in its place"
            )
        return head

    def _connection(self) -> sqlite3.Connection:
        if self._process != os.getpid():
            # A connection must not be used, nor closed, across a fork.
            if self._opened is not None:
                self._inherited.append(self._opened)
            self._opened, self._process = None, os.getpid()
        if self._opened is None:
            connection = store.connect(self.path)
            try:
                self._create_if_new(connection)
            except BaseException:
                connection.close()
                raise
            self._opened = connection
        return self._opened

    def _create_if_new(self, connection: sqlite3.Connection) -> None:
        if store.has_tables(connection):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not store.has_tables(connection):
                if self._seen is not None:
                    raise AuditError(f"the audit log {str(self.path)!r} was removed")
                store.create_tables(connection)
                log, key = uuid.uuid4().hex, self.key
                created = Created(log=log, key=key.id, algorithm=key.algorithm, library=__version__)
                record = AuditRecord(seq=0, time=now(), kind="created", created=created)
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
