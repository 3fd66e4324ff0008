"""A log outside its database: JSON Lines and Parquet, in and out, still provable.

An export is the whole log with its signed head. Its first line (in Parquet: its metadata) holds the
head, every other line a record with its hash and signature.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from guardrail.errors import AuditError
from guardrail.record.audit import store
from guardrail.record.audit.chain import Head, Row
from guardrail.record.audit.ownership import is_database
from guardrail.record.audit.record import canonical

_MARK = "guardrail_audit"
_BATCH = 2000
_STORED = ("body", "hash", "signature")
_FLAT = {
    "time": ("time",),
    "kind": ("kind",),
    "request_id": ("decision", "request_id"),
    "mode": ("decision", "mode"),
    "model": ("decision", "model"),
    "policy": ("decision", "policy", "name"),
    "policy_digest": ("decision", "policy", "digest"),
    "label": ("decision", "verdict", "label"),
    "p_unsafe": ("decision", "verdict", "p_unsafe"),
    "action": ("decision", "action"),
    "category": ("decision", "category"),
    "rule": ("decision", "rule"),
    "refused": ("decision", "outcome", "refused"),
    "finish_reason": ("decision", "outcome", "finish_reason"),
}


class DatabaseSource:
    """A log in its database, read as one unchanging state."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> Head | None:
        """Returns the signed head."""
        with suppress(sqlite3.DatabaseError):
            return store.read_head(self._connection)
        return None

    def rows(self, start: int | None = None) -> Iterator[Row]:
        """Yields the records from `start` on."""
        return store.read_rows(self._connection, start=-(2**63) if start is None else start)

    def altered_tables(self) -> str | None:
        """Returns what is not as it was made."""
        return store.altered_tables(self._connection)


class ExportSource:
    """A log in an exported file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parquet = _is_parquet(path)

    def head(self) -> Head | None:
        """Returns the signed head."""
        if self._parquet:
            metadata = _pyarrow_parquet().read_schema(self._path).metadata or {}
            return _head(metadata.get(_MARK.encode(), b"null"), self._path)
        with self._path.open("rb") as file:
            return _head(file.readline(), self._path)

    def rows(self, start: int | None = None) -> Iterator[Row]:
        """Yields the records in the file's order, from the one that has place `start` on."""
        lines = self._parquet_rows() if self._parquet else self._json_rows()
        begun = start is None
        for row in lines:
            begun = begun or row.seq == start
            if begun:
                yield row

    def altered_tables(self) -> str | None:
        """An export has no tables."""
        return None

    def _json_rows(self) -> Iterator[Row]:
        with self._path.open("rb") as file:
            file.readline()
            for number, line in enumerate(file, start=2):
                try:
                    yield _row_of(line)
                except (ValueError, KeyError, TypeError) as error:
                    raise AuditError(
                        f"{self._path}:{number}: not a record of an exported audit log"
                    ) from error

    def _parquet_rows(self) -> Iterator[Row]:
        try:
            file = _pyarrow_parquet().ParquetFile(self._path)
            for batch in file.iter_batches(_BATCH):
                for each in batch.to_pylist():
                    row = Row(each["seq"], each["body"].encode(), each["hash"], each["signature"])
                    yield replace(row, plain=_says_the_same(each, row))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AuditError(f"{str(self._path)!r} is no exported audit log") from error


def is_export(path: Path) -> bool:
    """Whether `path` is an exported log rather than a database."""
    if is_database(path):
        return False  # INVARIANT: not opened here, which would give up a writer's locks on it
    try:
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError:
        return False
    return beginning.startswith(b"PAR1") or beginning.lstrip().startswith(b'{"' + _MARK.encode())


def export_jsonl(source: DatabaseSource, path: Path) -> int:
    """Writes a log as JSON Lines; returns how many records.

    Raises:
        AuditError: The log has no head, or the file cannot be written.
    """
    written = 0
    head = _required_head(source)
    with _whole(path), path.open("w", encoding="ascii", newline="\n") as file:
        file.write(canonical({_MARK: 1, "head": asdict(head)}) + "\n")
        for row in source.rows():
            body = row.body.decode("ascii")
            file.write(f"{_before_body(row.seq, row.hash, row.signature)}{body}}}\n")
            written += 1
    return written


def export_parquet(source: DatabaseSource, path: Path) -> int:
    """Writes a log as Parquet, what is most asked for in columns of its own; returns how many.

    Raises:
        AuditError: pyarrow is missing, the log has no head, or the file cannot be written.
    """
    parquet = _pyarrow_parquet()
    import pyarrow as arrow

    texts = {name: arrow.string() for name in _FLAT}
    types = texts | {"p_unsafe": arrow.float64(), "refused": arrow.bool_()}
    schema = arrow.schema(
        [("seq", arrow.int64()), *types.items(), *((name, arrow.string()) for name in _STORED)],
        metadata={_MARK: canonical({_MARK: 1, "head": asdict(_required_head(source))})},
    )
    written = 0
    with _whole(path), parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _batches(source.rows()):
            columns = [_flat(row) for row in rows]
            writer.write_table(arrow.Table.from_pylist(columns, schema=schema))
            written += len(rows)
    return written


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """A with-block that writes `path`; what it leaves behind when it fails is taken away.

    Raises:
        AuditError: The file cannot be written, or the log cannot be read as it was written.
    """
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        if path.is_file():
            path.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise AuditError(f"cannot write {str(path)!r}: {reason}") from error
        raise AuditError("the log was altered and cannot be exported: verify it") from error


def import_log(source: ExportSource, path: Path) -> int:
    """Writes an exported log into a new database, as it is; returns how many records.

    Nothing is checked: verify the database afterwards.

    Raises:
        AuditError: The export cannot be read, or `path` exists.
    """
    if path.exists():
        raise AuditError(f"{str(path)!r} exists: a log is imported into a new file")
    head = _required_head(source)
    written = 0
    try:
        connection = store.connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            store.create_tables(connection)
            for row in source.rows():
                store.write_row(connection, row)
                written += 1
            store.write_head(connection, head)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise AuditError(f"cannot import into {str(path)!r}: {error}") from error
    return written


def _required_head(source: DatabaseSource | ExportSource) -> Head:
    head = source.head()
    if head is None:
        raise AuditError("the log has no signed head: verify it")
    return head


def _head(line: bytes, path: Path) -> Head | None:
    try:
        held = json.loads(line)
        return Head(**held["head"]) if held else None
    except (ValueError, KeyError, TypeError) as error:
        raise AuditError(f"{str(path)!r} is no exported audit log") from error


def _before_body(seq: int, digest: str, signature: str) -> str:
    """Returns how a record's line begins, up to the body."""
    return f'{{"seq":{seq},"hash":{json.dumps(digest)},"signature":{json.dumps(signature)},"body":'


def _row_of(line: bytes) -> Row:
    """Returns the record on a line.

    INVARIANT: what is checked is the text of the line, and not what one parser makes of it: of a
    name that stands there twice another reads the other value.
    """
    held = json.loads(line)
    seq, digest, signature = int(held["seq"]), str(held["hash"]), str(held["signature"])
    text, begins = line.rstrip(b"\r\n"), _before_body(seq, digest, signature).encode()
    if text.startswith(begins) and text.endswith(b"}"):
        return Row(seq, text[len(begins) : -1], digest, signature)
    body = canonical(held["body"]).encode("ascii")
    return Row(seq, body, digest, signature, plain=False)


def _says_the_same(columns: dict[str, Any], row: Row) -> bool:
    """Whether the columns say what the record's body does; a body that cannot be read says none."""
    try:
        flat = _flat(row)
    except (ValueError, TypeError, AttributeError):
        return False
    return {name: repr(columns[name]) for name in flat} == {n: repr(v) for n, v in flat.items()}


def _flat(row: Row) -> dict[str, Any]:
    held = json.loads(row.body)
    if "failure" in held:  # it names its request, policy and model as a decision does
        held["decision"] = held["failure"]
    flat: dict[str, Any] = {name: _at(held, path) for name, path in _FLAT.items()}
    if flat["p_unsafe"] is not None:  # infinite ones and NaN are spelled as text
        flat["p_unsafe"] = float(flat["p_unsafe"])
    body = row.body.decode("ascii")
    return {"seq": row.seq, **flat, "body": body, "hash": row.hash, "signature": row.signature}


def _at(held: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        held = held.get(name) if isinstance(held, dict) else None
    return held


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise AuditError(
            "Parquet needs the package pyarrow: pip install 'safecode-guardrail[audit]'"
        ) from error
    return pyarrow.parquet
