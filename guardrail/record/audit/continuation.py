"""The link from a log to the one before it, by which a rotated log stays one chain.

The first record of a log that was begun by a rotation says where the log before it ended.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.chain import GENESIS, Head, Row, record_hash, record_message
from guardrail.record.audit.record import Continued
from guardrail.record.audit.verification import Problem, Verification, link_of
from guardrail.record.keys import AuditKey


def link_to(head: Head, path: str) -> Continued:
    """Returns the link to a log that ends with `head`.

    Args:
        head: The last record, signed.
        path: Where the log lay.
    """
    return Continued(
        log=head.log,
        key=head.key,
        seq=head.seq,
        hash=head.hash,
        signature=head.signature,
        records=head.seq + 1,
        path=path,
    )


def follows(connection: sqlite3.Connection, head: Head, seen: Head, key: AuditKey) -> bool:
    """Whether a log that ends with `head` holds the record `seen`, or continues a log that does."""
    if head.log != seen.log:
        link = _signed_link(store.first_row(connection), head.log, key)
        return link is not None and link.log == seen.log and link.seq >= seen.seq
    if head.seq <= seen.seq:
        return head == seen
    written = store.row_hash(connection, seen.seq)
    return written == seen.hash or (written is None and store.pruned(connection, seen.seq))


def continues(path: Path, seen: Head, key: AuditKey) -> bool:
    """Whether at `path` lies a log that was begun to follow the one that `seen` is in."""
    with suppress(AuditError, sqlite3.Error), closing(store.open_read_only(path)) as connection:
        head = store.read_head(connection)
        return (
            head is not None
            and head.log != seen.log
            and key.checks(head.message(), head.seal)
            and follows(connection, head, seen, key)
        )
    return False


def _signed_link(row: Row | None, log: str, key: AuditKey) -> Continued | None:
    """Returns the link that the first record of `log` holds, if `key` signed it."""
    found = link_of(row)
    if row is None or found is None or record_hash(log, 0, GENESIS, row.body) != row.hash:
        return None
    return found if key.checks(record_message(row.hash), row.signature) else None


def broken_link(new: Verification, old: Verification) -> Problem | None:
    """Returns why `new` is not the log that follows `old`, if it is not; both were verified."""
    link = new.continues
    if link is None:
        return Problem("link", 0, "the log names no log before it: it was begun, not continued")
    if link.log != old.log:
        return Problem(
            "link", 0, f"the log continues the log {link.log}, and the one given is {old.log}"
        )
    if old.anchor != f"{link.seq}:{link.hash}":
        return Problem(
            "link", 0,
            f"the log continues record {link.seq} of the log before it, and that ends with another "
            f"({old.last})",
        )  # fmt: skip
    return None
