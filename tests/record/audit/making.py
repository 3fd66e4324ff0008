"""Logs of made-up decisions, and a log held in memory that a test can attack."""

import dataclasses
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrail.record.audit import AuditKey, AuditLog, store
from guardrail.record.audit.bench import synthetic_decision
from guardrail.record.audit.chain import Head, Row, record_hash
from guardrail.record.audit.verification import LogSource
from guardrail.record.decision import Decision
from guardrail.record.keys import HmacKey

KEY = HmacKey(b"a key that only tests know")
OTHER_KEY = HmacKey(b"a key that nobody should use")


def decision(seed: int = 0, **changes: Any) -> Decision:
    return synthetic_decision(random.Random(seed)).model_copy(update=changes)


def written(path: Path, records: int, key: AuditKey = KEY) -> Path:
    """Makes a log by the public way: one durable append per decision, the first being seq 1."""
    with AuditLog(path, key=key) as log:
        for at in range(records):
            log.append(decision(at))
    return path


@dataclass(frozen=True)
class Held:
    """A log in memory; `LogSource`."""

    rows_: list[Row]
    head_: Head | None

    def head(self) -> Head | None:
        return self.head_

    def rows(self, start: int | None = None) -> Iterator[Row]:
        if start is None:
            return iter(self.rows_)
        return (row for row in self.rows_ if row.seq >= start)

    def altered_tables(self) -> str | None:
        return None

    def with_rows(self, rows: list[Row], *, rehashed: bool, from_: int = 0) -> "Held":
        """The same log with other rows; `rehashed` as by an attacker who has no key.

        Every hash is then right again, and the head names the last record.
        """
        if not rehashed or self.head_ is None:
            return Held(rows, self.head_)
        chained = rows[:from_]
        for row in rows[from_:]:
            before = chained[-1].link if chained else store_genesis()
            digest = record_hash(self.head_.log, row.seq, before, row.body)
            chained.append(dataclasses.replace(row, hash=digest))
        last = chained[-1]
        head = dataclasses.replace(
            self.head_, seq=last.seq, hash=last.hash, signature=last.signature
        )
        return Held(chained, head)


def store_genesis() -> Any:
    from guardrail.record.audit.chain import GENESIS

    return GENESIS


def held(path: Path) -> Held:
    with closing(store.open_read_only(path)) as connection:
        return Held(list(store.read_rows(connection)), store.read_head(connection))


def as_source(log: Held) -> LogSource:
    return log
