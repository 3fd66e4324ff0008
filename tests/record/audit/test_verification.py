"""Every way to alter a log is found, and the first record that is not as written is named."""

import dataclasses
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import AuditError
from guardrail.record.audit import AuditLog, store
from guardrail.record.audit.chain import Row, sealed_head
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.verification import Verification, verify
from guardrail.record.keys import AuditKey, Ed25519Key
from tests.record.audit.making import KEY, OTHER_KEY, Held, decision, held, written

SAMPLE = 60
BOTH = pytest.mark.parametrize("rehashed", [False, True], ids=["as-is", "rehashed"])


def named(log: Held, key: AuditKey = KEY) -> tuple[str, int | None]:
    found = verify(log, key)
    assert found.problem is not None
    return found.problem.kind, found.problem.seq


def places(seed: int, count: int = SAMPLE, low: int = 0, high: int = 1000) -> list[int]:
    return sorted(random.Random(seed).sample(range(low, high), count))


def flipped(text: bytes, at: int, by: int) -> bytes:
    return text[:at] + bytes([text[at] ^ by]) + text[at + 1 :]


def altered(row: Row, at: int, by: int = 1) -> Row:
    """`row` with one byte changed, counted through body, hash and signature."""
    parts = [row.body, row.hash.encode(), row.signature.encode()]
    for place, part in enumerate(parts):
        if at < len(part):
            parts[place] = flipped(part, at, by)
            break
        at -= len(part)
    body, digest, signature = parts
    return dataclasses.replace(
        row,
        body=body,
        hash=digest.decode("utf-8", "surrogateescape"),
        signature=signature.decode("utf-8", "surrogateescape"),
    )


def size(row: Row) -> int:
    return len(row.body) + len(row.hash) + len(row.signature)


def test_an_untouched_log_verifies(thousand: Held) -> None:
    found = verify(thousand, KEY)
    assert found.ok
    assert (found.records, found.first, found.last, found.signed) == (1000, 0, 999, True)


@BOTH
def test_a_changed_byte_names_its_record(thousand: Held, rehashed: bool) -> None:
    chance = random.Random(1)
    for n in places(1):
        old = thousand.rows_[n]
        at = chance.randrange(len(old.body) if rehashed else size(old))
        row = altered(old, at, 1 << chance.randrange(8))
        rows = [*thousand.rows_[:n], row, *thousand.rows_[n + 1 :]]
        kind, seq = named(thousand.with_rows(rows, rehashed=rehashed, from_=n))
        assert seq == n
        assert kind in ("altered", "reordered", "removed", "inserted")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_changed_byte_names_its_record(thousand: Held) -> None:
    """Two million changes, as they are and with the hash computed again. A pass stops at the first
    record that does not hold, so each is asked about the one record, as a pass would.
    """
    from guardrail.record.audit.chain import GENESIS
    from guardrail.record.audit.verification import _Walk

    assert thousand.head_ is not None
    walk = _Walk(thousand, KEY, each=True)
    before = GENESIS
    for row in thousand.rows_:
        assert walk._holds(row, thousand.head_.log, before)
        for at in range(size(row)):
            assert not walk._holds(altered(row, at), thousand.head_.log, before), (row.seq, at)
            if at < len(row.body):
                again = _rehashed(altered(row, at), thousand.head_.log, before)
                assert not walk._holds(again, thousand.head_.log, before), (row.seq, at)
        before = row.link


def _rehashed(row: Row, log: str, before: Any) -> Row:
    from guardrail.record.audit.chain import record_hash

    return dataclasses.replace(row, hash=record_hash(log, row.seq, before, row.body))


@BOTH
def test_a_deleted_record_is_named(thousand: Held, rehashed: bool) -> None:
    for n in places(2, high=999):
        rows = [*thousand.rows_[:n], *thousand.rows_[n + 1 :]]
        assert named(thousand.with_rows(rows, rehashed=rehashed, from_=n)) == ("removed", n)


@BOTH
def test_a_deleted_record_is_named_when_the_rest_moves_up(thousand: Held, rehashed: bool) -> None:
    for n in places(3, high=997):
        rest = [dataclasses.replace(row, seq=row.seq - 1) for row in thousand.rows_[n + 1 :]]
        rows = [*thousand.rows_[:n], *rest]
        assert named(thousand.with_rows(rows, rehashed=rehashed, from_=n)) == ("removed", n)


@BOTH
def test_a_run_of_deleted_records_is_named(thousand: Held, rehashed: bool) -> None:
    for n in places(4, 20, high=900):
        rows = [*thousand.rows_[:n], *thousand.rows_[n + 40 :]]
        assert named(thousand.with_rows(rows, rehashed=rehashed, from_=n)) == ("removed", n)


@BOTH
def test_swapped_records_name_the_first(thousand: Held, rehashed: bool) -> None:
    chance = random.Random(5)
    for n in places(5, high=990):
        other = chance.choice([n + 1, chance.randrange(n + 1, 1000)])
        rows = list(thousand.rows_)
        rows[n] = dataclasses.replace(thousand.rows_[other], seq=n)
        rows[other] = dataclasses.replace(thousand.rows_[n], seq=other)
        assert named(thousand.with_rows(rows, rehashed=rehashed, from_=n)) == ("reordered", n)


@BOTH
def test_an_inserted_record_is_named(thousand: Held, rehashed: bool) -> None:
    chance = random.Random(6)
    for n in places(6, low=2, high=990):
        source = thousand.rows_[chance.randrange(1, 1000)]
        body = source.body.replace(f'"seq":{source.seq},'.encode(), f'"seq":{n},'.encode())
        for new in (
            dataclasses.replace(source, seq=n),
            dataclasses.replace(source, seq=n, body=body),
        ):
            rest = [dataclasses.replace(row, seq=row.seq + 1) for row in thousand.rows_[n:]]
            rows = [*thousand.rows_[:n], new, *rest]
            if new.body == thousand.rows_[n].body:
                continue
            kind, seq = named(thousand.with_rows(rows, rehashed=rehashed, from_=n))
            assert (kind, seq) == ("inserted", n)


@BOTH
def test_a_record_added_at_the_end_is_named(thousand: Held, rehashed: bool) -> None:
    new = dataclasses.replace(thousand.rows_[-1], seq=1000)
    log = thousand.with_rows([*thousand.rows_, new], rehashed=rehashed, from_=1000)
    assert named(log)[1] == 1000


@BOTH
def test_a_shortened_log_is_found(thousand: Held, rehashed: bool) -> None:
    for n in places(7, low=1):
        log = thousand.with_rows(thousand.rows_[:n], rehashed=rehashed, from_=n)
        assert named(log) == (("head", n) if rehashed else ("truncated", n))


def test_a_shortened_log_is_found_whatever_seal_its_head_is_given(thousand: Held) -> None:
    cut = thousand.with_rows(thousand.rows_[:500], rehashed=True, from_=500)
    assert cut.head_ is not None
    for seal in (
        "",
        thousand.rows_[499].signature,
        sealed_head("x", thousand.rows_[499], KEY).seal,
    ):
        assert named(Held(cut.rows_, dataclasses.replace(cut.head_, seal=seal))) == ("head", 500)


def test_a_log_written_anew_with_another_key_is_found(tmp_path: Path) -> None:
    log = held(written(tmp_path / "audit.db", 5, OTHER_KEY))
    assert named(log)[0] == "key"
    assert log.head_ is not None
    assert named(Held(log.rows_, dataclasses.replace(log.head_, key=KEY.id)))[0] == "altered"


@pytest.mark.parametrize("field", ["log", "key", "seq", "hash", "signature", "seal"])
def test_every_field_of_the_head_is_signed(thousand: Held, field: str) -> None:
    head = thousand.head_
    assert head is not None
    value = 998 if field == "seq" else "0" + getattr(head, field)[1:-1] + "x"
    assert not verify(Held(thousand.rows_, dataclasses.replace(head, **{field: value})), KEY).ok
    assert not verify(Held(thousand.rows_, None), KEY).ok


def test_the_hashes_alone_are_checked_without_a_key(thousand: Held) -> None:
    found = verify(thousand, None)
    assert (found.ok, found.signed) == (True, False)
    rows = [*thousand.rows_[:7], altered(thousand.rows_[7], 5), *thousand.rows_[8:]]
    assert verify(Held(rows, thousand.head_), None).problem is not None


def test_an_anchor_finds_an_older_copy(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    shutil.copy(path, tmp_path / "older.db")
    before = verify_path(path, KEY)
    with AuditLog(path, key=KEY) as log:
        log.append(decision(9))
    after = verify_path(path, KEY)
    assert before.anchor is not None
    assert after.anchor is not None
    assert verify_path(path, KEY, anchor=_anchor(before)).ok
    rolled = verify(held(tmp_path / "older.db"), KEY, anchor=_anchor(after))
    assert rolled.problem is not None
    assert rolled.problem.kind == "rollback"


def _anchor(found: Verification) -> tuple[int, str]:
    assert found.anchor is not None
    seq, _, digest = found.anchor.partition(":")
    return int(seq), digest


def test_a_public_key_finds_the_first_altered_record(tmp_path: Path) -> None:
    private = Ed25519Key(seed=b"7" * 32)
    public = Ed25519Key(public=private.public)
    log = held(written(tmp_path / "audit.db", 12, private))
    assert verify(log, public).ok
    for n in (0, 5, 12):
        for at in (3, size(log.rows_[n]) - 1):
            rows = [*log.rows_[:n], altered(log.rows_[n], at), *log.rows_[n + 1 :]]
            assert named(log.with_rows(rows, rehashed=True, from_=n), public)[1] == n
            assert named(log.with_rows(rows, rehashed=False), public)[1] == n
    with pytest.raises(AuditError, match="public key"):
        AuditLog(tmp_path / "audit.db", key=public).append(decision())


Attack = Callable[[sqlite3.Connection], Any]


def attacked(path: Path, to: Path, attack: Attack, *, tidy: bool = True) -> Verification:
    shutil.copy(path, to)
    with closing(sqlite3.connect(to)) as connection:
        for name in ("records_are_not_altered", "records_are_not_deleted"):
            connection.execute(f"DROP TRIGGER {name}")
        attack(connection)
        if tidy:
            for name in ("records_are_not_altered", "records_are_not_deleted"):
                connection.execute(store.SCHEMA[name])
        connection.commit()
    return verify_path(to, KEY)


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE records SET body = replace(body, 'refuse', 'comply') WHERE seq = {}", "refused"),
        ("UPDATE records SET body = body || ' ' WHERE seq = 500", 500),
        ("UPDATE records SET signature = hash WHERE seq = 500", 500),
        ("UPDATE records SET hash = upper(hash) WHERE seq = 500", 500),
        ("UPDATE records SET seq = 5000 WHERE seq = 500", 500),
        ("UPDATE records SET hash = CAST(hash AS BLOB) WHERE seq = 500", 500),
        ("DELETE FROM records WHERE seq = 500", 500),
        ("DELETE FROM records WHERE seq < 500", 0),
        ("DELETE FROM records WHERE seq >= 500", 500),
        ("DELETE FROM records", 0),
        ("INSERT INTO records (seq, body, hash, signature) SELECT 1000, body, hash, signature "
         "FROM records WHERE seq = 5", 1000),
        ("INSERT INTO records (seq, body, hash, signature) SELECT -1, body, hash, signature "
         "FROM records WHERE seq = 5", -1),
        ("DELETE FROM head", None),
        ("UPDATE head SET seq = 998", 1000),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tidy", [True, False])
def test_what_sql_can_do_is_named(
    thousand_path: Path, tmp_path: Path, statement: str, seq: Any, tidy: bool
) -> None:
    with closing(sqlite3.connect(thousand_path)) as connection:
        [refused] = connection.execute(
            "SELECT min(seq) FROM records WHERE action = 'refuse'"
        ).fetchone()
    seq = refused if seq == "refused" else seq
    found = attacked(
        thousand_path,
        tmp_path / "a.db",
        lambda c: c.execute(statement.format(refused)),
        tidy=tidy,
    )
    assert found.problem is not None
    assert found.problem.seq == seq
    assert ("'records_are_not_altered' is not as it was made" in found.problem.message) != tidy
    assert seq is None or seq < 0 or str(seq) in found.problem.message or seq == 0


def test_altered_tables_are_named(thousand_path: Path, tmp_path: Path) -> None:
    found = attacked(thousand_path, tmp_path / "a.db", lambda _: None, tidy=False)
    assert found.problem is not None
    assert (found.problem.kind, found.records) == ("tables", 1000)
    found = attacked(thousand_path, tmp_path / "b.db", lambda c: c.execute("CREATE TABLE more (a)"))
    assert found.problem is not None
    assert "more" in found.problem.message


def test_a_changed_byte_of_the_file_is_found_wherever_anything_is(
    thousand_path: Path, tmp_path: Path
) -> None:
    """In an index as in a record; free space holds zeros, and proves nothing."""
    whole = thousand_path.read_bytes()
    chance = random.Random(8)
    written = [at for at in range(100, len(whole)) if whole[at]]
    path = tmp_path / "a.db"
    for at in chance.sample(written, SAMPLE):
        path.write_bytes(flipped(whole, at, 1 << chance.randrange(8)))
        assert not verify_path(path, KEY).ok, at
    for at in range(0, 100, 4):  # the database's own header, with counters from 18 on
        path.write_bytes(flipped(whole, at, 1 << chance.randrange(8)))
        assert verify_path(path, KEY).problem is not None or at >= 18


def test_an_index_that_hides_a_record_is_found(thousand_path: Path, tmp_path: Path) -> None:
    """Lists and counts are read from the indexes: they must not show what was never written."""
    whole = thousand_path.read_bytes()
    with closing(store.open_read_only(thousand_path)) as connection:
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'records_by_summary'"
        ).fetchone()
        [size_] = connection.execute("PRAGMA page_size").fetchone()
    at = whole.index(b"comply", (page - 1) * size_)
    path = tmp_path / "a.db"
    path.write_bytes(whole[:at] + b"refuse" + whole[at + 6 :])
    found = verify_path(path, KEY)
    assert found.problem is not None
    assert "records_by_summary" in found.problem.message


@pytest.mark.parametrize("length", [50, 4096, 20_000, 300_000])
def test_a_file_that_was_cut_is_found(thousand_path: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(thousand_path.read_bytes()[:length])
    found = verify_path(path, KEY)
    assert found.problem is not None
    assert "damaged" in found.problem.message


def test_what_never_was_a_log_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (a)")
    for made in (path, tmp_path / "text.db", tmp_path / "none.db"):
        if made.name == "text.db":
            made.write_text("hello\n")
        with pytest.raises(AuditError):
            verify_path(made, KEY)


def test_a_log_in_a_folder_that_cannot_be_written_to_is_read(
    thousand_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    shutil.copy(thousand_path, path)
    (tmp_path / "a.db-shm").mkdir()  # SQLite cannot make its shared memory there
    assert verify_path(path, KEY).ok
