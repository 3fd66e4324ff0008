"""What is another program's file is refused, and left as it is to the last byte."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from guardrail.errors import AuditError
from guardrail.judging.guard import Guard
from guardrail.record.audit import AuditLog
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.queries import LogReader
from guardrail.request.conversation import question
from tests.record.audit.making import KEY, decision, written


def database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def with_an_application_id(path: Path) -> None:
    database(
        path, "CREATE TABLE users (id)", "PRAGMA application_id = 12345", "PRAGMA user_version = 9"
    )


def with_tables_alone(path: Path) -> None:
    database(path, "CREATE TABLE users (id)", "INSERT INTO users VALUES (1)")


def with_a_table_of_our_name(path: Path) -> None:
    database(path, "CREATE TABLE records (seq)", "CREATE TABLE head (id)")


def with_a_version_and_no_table(path: Path) -> None:
    database(path, "PRAGMA user_version = 9")


def with_an_id_and_no_table(path: Path) -> None:
    database(path, "PRAGMA application_id = 7")


def in_wal_mode(path: Path) -> None:
    database(path, "PRAGMA journal_mode = WAL", "CREATE TABLE users (id)")


def of_a_newer_version(path: Path) -> None:
    written(path, 2)
    database(path, "PRAGMA user_version = 2")


def text(path: Path) -> None:
    path.write_text("a file of notes\n")


def a_long_text(path: Path) -> None:
    path.write_bytes(b"\x00\xff notes" * 5000)


FOREIGN = [
    with_an_application_id,
    with_tables_alone,
    with_a_table_of_our_name,
    with_a_version_and_no_table,
    with_an_id_and_no_table,
    in_wal_mode,
    of_a_newer_version,
    text,
    a_long_text,
]
READERS: list[Callable[[Path], object]] = [
    lambda path: AuditLog(path, key=KEY).append(decision()),
    LogReader,
    lambda path: verify_path(path, KEY),
]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


@pytest.mark.parametrize("make", FOREIGN)
def test_another_programs_file_is_refused_and_untouched(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "app.db"
    make(path)
    before = state(tmp_path)
    for use in READERS:
        if make is of_a_newer_version and use is READERS[-1]:
            assert not verify_path(path, KEY).ok  # it bears the marks of a log: it does not verify
            continue
        with pytest.raises(AuditError, match="is no audit log of this library"):
            use(path)
        assert state(tmp_path) == before


@pytest.mark.parametrize("waiting", [True, False])
def test_a_database_that_its_program_has_open_is_untouched(tmp_path: Path, waiting: bool) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE users (id)")
        if not waiting:
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = {name: held for name, held in state(tmp_path).items() if name != "app.db-shm"}
        with pytest.raises(AuditError, match="is no audit log of this library"):
            AuditLog(path, key=KEY).append(decision())
        after = {name: held for name, held in state(tmp_path).items() if name != "app.db-shm"}
        assert after == before
        app.execute("INSERT INTO users VALUES (1)")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (1,)


def test_records_of_a_crashed_program_are_not_moved_about(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    crash = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('CREATE TABLE t (x)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", crash, str(path)], check=True, timeout=60)
    before = {name: held[0] for name, held in state(tmp_path).items() if name != "app.db-shm"}
    with pytest.raises(AuditError, match="is no audit log of this library"):
        AuditLog(path, key=KEY).append(decision())
    after = {name: held[0] for name, held in state(tmp_path).items() if name != "app.db-shm"}
    assert after == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "audit.db"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(AuditError, match=f"is no audit log of this library: it is a {kind}"):
        AuditLog(path, key=KEY).append(decision())
    assert [each.name for each in tmp_path.iterdir()] == ["audit.db"]


def test_an_empty_file_is_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.touch()
    with AuditLog(path, key=KEY) as log:
        assert log.append(decision()) == 1
    assert verify_path(path, KEY).ok


@pytest.mark.parametrize("left", ["empty", "missing"])
def test_a_log_whose_records_wait_beside_it_is_not_begun_anew(tmp_path: Path, left: str) -> None:
    path = tmp_path / "audit.db"
    log = AuditLog(path, key=KEY)
    log.append(decision())
    if left == "empty":
        os.truncate(path, 0)
    else:
        path.unlink()
    waiting = (tmp_path / "audit.db-wal").read_bytes()
    with pytest.raises(AuditError, match=r"was (removed|emptied)"):
        AuditLog(path, key=KEY).append(decision())
    assert (tmp_path / "audit.db-wal").read_bytes() == waiting


def test_a_request_fails_rather_than_take_over_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    with_an_application_id(path)
    before = path.read_bytes()
    monkeypatch.setenv("GUARDRAIL_AUDIT_LOG", str(path))
    with pytest.raises(AuditError, match="is no audit log of this library"):
        Guard(judge=lambda request: 0.01).decide(question("1"))
    assert path.read_bytes() == before
