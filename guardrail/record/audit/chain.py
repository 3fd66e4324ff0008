"""How records are chained and signed: pure functions over bytes, and the log's head.

```
hash(n)      = SHA-256(log, n, hash(n-1), signature(n-1), body(n))
signature(n) = sign("record", hash(n))
head         = sign("head", log, key, n, hash(n), signature(n))      only for the last record
```
INVARIANT: a head is signed for the last record only, and replaced with every append. An older head
is kept nowhere, so that a shortened log cannot be given a head that fits without the key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from guardrail.record.keys import AuditKey

_DOMAIN = "guardrail-audit-1"


@dataclass(frozen=True)
class Link:
    """What the next record is chained to: a record's hash and signature."""

    hash: str
    signature: str


GENESIS = Link("0" * 64, "")
"""What a log's first record is chained to."""


@dataclass(frozen=True)
class Row:
    """A record as it lies in a log.

    Attributes:
        plain: Whether it lies there in the form in which it is written.
    """

    seq: int
    body: bytes
    hash: str
    signature: str
    plain: bool = True

    @property
    def link(self) -> Link:
        """What the next record is chained to."""
        return Link(self.hash, self.signature)


@dataclass(frozen=True)
class Head:
    """The last record of a log, signed."""

    log: str
    key: str
    seq: int
    hash: str
    signature: str
    seal: str

    @property
    def link(self) -> Link:
        """What the next record is chained to."""
        return Link(self.hash, self.signature)

    def message(self) -> bytes:
        """Returns what `seal` signs."""
        fields = (_DOMAIN, "head", self.log, self.key, str(self.seq), self.hash, self.signature)
        return "\n".join(fields).encode("utf-8", "surrogateescape")


def record_hash(log: str, seq: int, before: Link, body: bytes) -> str:
    """Returns a record's hash, hexadecimal."""
    header = f"{_DOMAIN}\n{log}\n{seq}\n{before.hash}\n{before.signature}\n"
    return hashlib.sha256(header.encode("utf-8", "surrogateescape") + body).hexdigest()


def record_message(digest: str) -> bytes:
    """Returns what a record's signature signs."""
    return f"{_DOMAIN}\nrecord\n{digest}".encode("utf-8", "surrogateescape")


def sealed_row(log: str, seq: int, before: Link, body: str, key: AuditKey) -> Row:
    """Returns a record's row, chained to the one before it and signed."""
    raw = body.encode("ascii")
    digest = record_hash(log, seq, before, raw)
    return Row(seq, raw, digest, key.sign(record_message(digest)))


def sealed_head(log: str, row: Row, key: AuditKey) -> Head:
    """Returns the head for a log that ends with `row`."""
    unsigned = Head(log, key.id, row.seq, row.hash, row.signature, "")
    return Head(log, key.id, row.seq, row.hash, row.signature, key.sign(unsigned.message()))
