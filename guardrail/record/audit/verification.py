"""Whether a log is what was written, and if not, which record is the first that is not.

It reads a log from anywhere (`LogSource`) and trusts nothing in it but what the key proves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Literal, Protocol

from guardrail.record.audit.chain import GENESIS, Head, Link, Row, record_hash, record_message
from guardrail.record.audit.record import Checkpoint, Continued
from guardrail.record.keys import AuditKey

Damage = Literal[
    "altered", "removed", "reordered", "inserted", "truncated", "head", "tables", "key",
    "rollback", "anchor", "link",
]  # fmt: skip


_UNPLACED = ("rollback", "anchor", "key")


class LogSource(Protocol):
    """A log to check: a database, or an export of one."""

    def head(self) -> Head | None:
        """Returns the signed head; None if it is missing."""

    def rows(self, start: int | None = None) -> Iterator[Row]:
        """Yields the records in the order of their places, from `start` on."""

    def altered_tables(self) -> str | None:
        """Returns a table, index or trigger that is not as it was made, if any."""


@dataclass(frozen=True)
class Problem:
    """The first thing that is wrong.

    Attributes:
        kind: What was done, as far as can be told; `anchor` if it cannot, since what was anchored
            has been pruned.
        seq: The record; None if it is no record's.
        message: One sentence.
    """

    kind: Damage
    seq: int | None
    message: str


@dataclass(frozen=True)
class Verification:
    """What a check found.

    Attributes:
        records: How many records were read, up to the first problem.
        first: The first record that the log still holds.
        last: The last record read.
        anchor: `SEQ:HASH` of the last record; kept elsewhere, it proves later that the log was not
            put back to an older state.
        signed: Whether signatures were checked; without the key only the hashes can be.
        pruned: How many records retention has removed.
        problem: None if all is well.
        continues: The end of the log before this one, if it was begun by a rotation.
        key: The id of the key that the signatures were checked with.
    """

    log: str
    records: int
    first: int | None
    last: int | None
    anchor: str | None
    signed: bool
    pruned: int
    problem: Problem | None
    continues: Continued | None = None
    key: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None

    @property
    def as_written(self) -> bool:
        """Whether the records that were read, up to the problem, are known to be the ones that were
        written. Where they do not lead to the anchor, others may have taken their place.
        """
        return self.records > 0 and (self.problem is None or self.problem.kind not in _UNPLACED)

    def plain(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        link = self.continues
        continues = link.model_dump(mode="json") if link is not None else None
        return {"ok": self.ok, **asdict(replace(self, continues=None)), "continues": continues}


def verify(
    source: LogSource, key: AuditKey | None, *, anchor: tuple[int, str] | None = None
) -> Verification:
    """Checks a whole log.

    Args:
        source: The log.
        key: Checks the signatures; None checks the hashes alone, which whoever alters a log can
            compute again.
        anchor: (seq, hash) of a record known from an earlier check.
    """
    walk = _Walk(source, key, each=key is not None and key.cheap)
    found = walk.run(anchor)
    if found.problem is not None and key is not None and not key.cheap and found.signed:
        # Signatures that are dear to check are covered by the head's; only when something is wrong
        # does each have to be checked, to find the first.
        closer = _Walk(source, key, each=True).run(anchor)
        return closer if closer.problem is not None else found
    return found


class _Walk:
    """One pass over a log."""

    def __init__(self, source: LogSource, key: AuditKey | None, *, each: bool) -> None:
        self._source, self._key, self._each = source, key, each
        self._log, self._records, self._pruned = "", 0, 0
        self._first: int | None = None
        self._last: Row | None = None
        self._continues: Continued | None = None

    def run(self, anchor: tuple[int, str] | None) -> Verification:
        problem = self._problem(anchor)
        last = self._last
        return Verification(
            log=self._log,
            records=self._records,
            first=self._first,
            last=last.seq if last is not None else None,
            anchor=f"{last.seq}:{last.hash}" if last is not None else None,
            signed=self._key is not None,
            pruned=self._pruned,
            problem=problem,
            continues=self._continues,
            key=self._key.id if self._key is not None else None,
        )

    def _problem(self, anchor: tuple[int, str] | None) -> Problem | None:
        name = self._source.altered_tables()
        if name is None:
            return self._in_records(anchor)
        said = f"the database's own {name!r} is not as it was made"
        # A trigger is dropped to alter records: name the record, too. Of another table what is read
        # would not be what lies there.
        found = None if name in _TABLES else self._in_records(anchor)
        if found is None:
            return Problem("tables", None, said)
        return replace(found, message=f"{found.message}, and {said}")

    def _in_records(self, anchor: tuple[int, str] | None) -> Problem | None:
        head = self._source.head()
        if head is None:
            return Problem("head", None, "the signed head is missing")
        self._log = head.log
        problem = self._broken_chain(head, anchor) or self._wrong_end(head)
        if problem is None or problem.kind in ("head", "truncated"):
            # Under another key every signature is wrong: say so rather than name a record.
            return self._other_key(head) or problem
        return problem

    def _other_key(self, head: Head) -> Problem | None:
        if self._key is None or head.key == self._key.id:
            return None
        return Problem(
            "key", None, f"the log names the key {head.key}, and was checked with {self._key.id}"
        )

    def _broken_chain(self, head: Head, anchor: tuple[int, str] | None) -> Problem | None:
        expected, before = 0, GENESIS
        rows = self._source.rows()
        for row in rows:
            if self._first is None and row.seq > 0:
                checkpoint = _checkpoint_for(self._source, row.seq)
                if checkpoint is None:
                    return _gap(0, row.seq)
                expected = row.seq
                before = Link(checkpoint.hash, checkpoint.signature)
                self._pruned = checkpoint.records
                if anchor is not None and (problem := _anchored_before(row.seq, before, anchor)):
                    return problem
            if row.seq != expected:
                return _gap(expected, row.seq) if row.seq > expected else _unexpected(row.seq)
            if not self._holds(row, head.log, before):
                if self._first is None and (other := self._other_key(head)) is not None:
                    return other
                return _diagnosis(self._source, row)
            if anchor is not None and anchor[0] == row.seq and anchor[1] != row.hash:
                return Problem("rollback", row.seq, f"record {row.seq} is not the one anchored")
            if row.seq == 0:
                self._continues = link_of(row)
            self._first = row.seq if self._first is None else self._first
            self._last, before = row, row.link
            self._records += 1
            expected += 1
        if anchor is not None and anchor[0] >= expected:
            return Problem(
                "rollback", expected, f"the log ends before record {anchor[0]}, which was anchored"
            )
        return None

    def _holds(self, row: Row, log: str, before: Link) -> bool:
        if not row.plain or record_hash(log, row.seq, before, row.body) != row.hash:
            return False
        if self._key is None or not self._each:
            return True
        return self._key.checks(record_message(row.hash), row.signature)

    def _wrong_end(self, head: Head) -> Problem | None:
        last = self._last
        if last is None:
            return Problem("truncated", 0, "the log holds no record")
        after = last.seq + 1
        if self._key is not None and not self._key.checks(head.message(), head.seal):
            return Problem(
                "head",
                after,
                f"the head is not signed by the key: records from {after} on may be missing",
            )
        if last.seq < head.seq:
            return Problem(
                "truncated", after, f"records {after} to {head.seq} are missing at the end"
            )
        if last.seq > head.seq:
            return Problem(
                "inserted",
                head.seq + 1,
                f"record {head.seq + 1} was added after the signed head ({head.seq})",
            )
        if (last.hash, last.signature) != (head.hash, head.signature):
            return Problem("altered", last.seq, f"record {last.seq} is not the one that was signed")
        return None


def link_of(row: Row | None) -> Continued | None:
    """Returns the link that a log's first record holds, if any. Nothing is proven by it alone."""
    if row is None or row.seq != 0 or b'"continues":' not in row.body:
        return None
    try:
        return Continued.model_validate(json.loads(row.body)["continues"])
    except (ValueError, KeyError, TypeError):
        return None


def _anchored_before(first: int, before: Link, anchor: tuple[int, str]) -> Problem | None:
    """Says what is wrong with an anchor of a record that was pruned: of the last of them alone the
    hash is still known.

    Args:
        first: The first record that is left.
        before: What it is chained to.
        anchor: (seq, hash) of a record known from an earlier check.
    """
    seq, known = anchor
    if seq == first - 1 and known != before.hash:
        return Problem("rollback", seq, f"record {seq} is not the one anchored")
    if seq < first - 1:
        return Problem(
            "anchor",
            seq,
            f"record {seq}, which was anchored, was pruned: a log put back to an older state would "
            "look the same (anchor it anew after each prune)",
        )
    return None


def _gap(expected: int, found: int) -> Problem:
    missing = (
        f"record {expected} is"
        if found == expected + 1
        else f"records {expected} to {found - 1} are"
    )
    return Problem("removed", expected, f"{missing} missing")


def _unexpected(seq: int) -> Problem:
    return Problem("inserted", seq, f"record {seq} stands where none was written")


def _diagnosis(source: LogSource, row: Row) -> Problem:
    """Says what was probably done to the first record that does not hold."""
    here, following, third = [*(_claimed(each) for each in islice(source.rows(row.seq), 3)), *_PAD][
        :3
    ]
    seq = row.seq
    if following == seq and (here != seq + 1 or third == seq + 1):
        return Problem("inserted", seq, f"record {seq} was inserted: {seq} as written follows it")
    if here is not None and here != seq:
        if following == here + 1 and here == seq + 1:
            return Problem(
                "removed", seq, f"record {seq} was removed, and what followed moved into its place"
            )
        return Problem("reordered", seq, f"in place of record {seq} stands record {here}")
    return Problem("altered", seq, f"record {seq} is not as it was written")


_PAD = (None, None, None)
_TABLES = ("records", "head")
"""What is read of a database; its triggers and indexes are not."""


def _claimed(row: Row) -> int | None:
    """Which place a record says it has."""
    try:
        seq = json.loads(row.body)["seq"]
    except (ValueError, KeyError, TypeError):
        return None
    return seq if isinstance(seq, int) else None


def _checkpoint_for(source: LogSource, first: int) -> Checkpoint | None:
    """Returns the checkpoint that stands for everything before `first`. It is itself part of the
    chain, so that it is proven by what it begins.
    """
    found: Checkpoint | None = None
    for row in source.rows(first):
        if b'"kind":"checkpoint"' not in row.body:
            continue
        try:
            held = json.loads(row.body)
            checkpoint = Checkpoint.model_validate(held["checkpoint"])
        except (ValueError, KeyError, TypeError):
            continue
        if held.get("kind") == "checkpoint" and checkpoint.through == first - 1:
            found = checkpoint
    return found
