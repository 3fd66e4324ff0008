"""Appending: durable, chained, from several processes, and never onto a log that was altered."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from guardrail.errors import AuditError
from guardrail.record.audit import AuditLog, find_key, new_key, parse_key, read_key
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.queries import LogReader
from guardrail.record.decision import VerdictRecord
from guardrail.record.keys import ED25519, write_key
from tests.record.audit.making import KEY, OTHER_KEY, decision, written


def test_a_record_can_be_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    given = decision(3)
    with AuditLog(path) as log:
        assert log.append(given) == 1
        assert log.append(decision(4)) == 2
    with LogReader(path) as reader:
        record = reader.record(1)
    assert record is not None
    assert record.decision == given
    assert verify_path(path, KEY).records == 3


def test_numbers_that_are_none_and_odd_characters_survive(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    verdict = VerdictRecord(p_unsafe=float("nan"), categories={"a": float("inf")})
    given = decision(1, verdict=verdict, reasons=["\ud800 \x00 \n 'quoted' \u202e"])
    with AuditLog(path) as log:
        log.append(given)
    with LogReader(path) as reader:
        record = reader.record(1)
        assert reader.stats(_everything())["decisions"] == 1
    assert record is not None
    assert record.decision is not None
    assert record.decision.reasons == given.reasons
    assert record.decision.verdict.categories == {"a": float("inf")}
    assert verify_path(path, KEY).ok


def _everything():  # type: ignore[no-untyped-def]
    from guardrail.record.audit.filters import Filter

    return Filter()


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db")
    log.append(decision())
    connection = log._opened
    assert connection is not None
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_rows_cannot_be_updated_or_deleted_by_accident(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 2)
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("DELETE FROM records", "UPDATE records SET body = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_a_shortened_log_is_not_continued(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER records_are_not_deleted")
        connection.execute("DELETE FROM records WHERE seq > 3")
        connection.commit()
    with pytest.raises(AuditError, match="does not end with the record"):
        AuditLog(path).append(decision())


def test_a_log_of_another_key_is_not_continued(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 1, OTHER_KEY)
    with pytest.raises(AuditError, match=OTHER_KEY.id):
        AuditLog(path, key=KEY).append(decision())


@pytest.mark.parametrize("back", ["older", "none"])
def test_a_log_put_back_while_it_is_open_is_not_continued(tmp_path: Path, back: str) -> None:
    path = written(tmp_path / "audit.db", 2)
    shutil.copy(path, tmp_path / "older.db")
    log = AuditLog(path)
    log.append(decision())
    log.close()
    path.unlink()
    if back == "older":
        shutil.copy(tmp_path / "older.db", path)
    with pytest.raises(AuditError, match=r"older copy|was removed"):
        log.append(decision())
    log.close()


@pytest.mark.parametrize(
    ("content", "says"), [(b"not a database at all" * 100, "not a database"), (None, "No such")]
)
def test_what_cannot_be_a_log_is_one_clear_error(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "audit.db"
    if content is None:
        path = tmp_path / "nowhere" / "audit.db"
    else:
        path.write_bytes(content)
    with pytest.raises(AuditError, match=says):
        AuditLog(path).append(decision())


def test_a_full_disk_is_an_audit_error_and_leaves_the_log_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 3)
    log = AuditLog(path)
    log.append(decision())
    assert log._opened is not None
    [pages] = log._opened.execute("PRAGMA page_count").fetchone()
    log._opened.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AuditError, match="full"):
        _append_to(log, 200)
    log.close()
    assert verify_path(path, KEY).ok


def _append_to(log: AuditLog, count: int) -> None:
    for at in range(count):
        log.append(decision(at))


def test_threads_share_one_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db")
    threads = [
        threading.Thread(target=lambda: [log.append(decision(at)) for at in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert verify_path(log.path, KEY).records == 21


_WRITER = """
import random, sys
from guardrail.record.audit import AuditLog
from guardrail.record.audit.bench import synthetic_decision
with AuditLog(sys.argv[1]) as log:
    for at in range(8):
        log.append(synthetic_decision(random.Random(at)))
"""


def _root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


def test_processes_that_begin_at_once_share_one_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    command = [sys.executable, "-c", _WRITER, str(path)]
    processes = [subprocess.Popen(command, env=_root()) for _ in range(4)]
    assert [process.wait(250) for process in processes] == [0] * 4
    assert verify_path(path, KEY).records == 33


def killed(folder: Path, trials: int) -> dict[str, float]:
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(trials), "11"],
        env=_root(), capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_killed_writers_lose_no_acknowledged_record(tmp_path: Path) -> None:
    found = killed(tmp_path, 12)
    assert found["acknowledged"] >= 9  # three trials of four wait for a first record


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_no_acknowledged_record(tmp_path: Path) -> None:
    found = killed(tmp_path, 200)
    print(found)
    assert found["acknowledged"] > 100
    assert found["slowest_open_s"] < 5


def test_a_key_is_made_once_for_the_user_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARDRAIL_AUDIT_KEY")
    assert find_key() is None
    made = find_key(create=True)
    assert made is not None
    path = tmp_path / "config" / "guardrail" / "audit.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = find_key(create=True)
    assert again is not None
    assert again.id == made.id
    with pytest.raises(AuditError, match="never overwritten"):
        write_key(path, new_key())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("short", "5 characters"),
        ("hmac-sha256:xyz", "not hexadecimal"),
        ("hmac-sha256:00", "1 bytes"),
        ("ed25519:00", "32 bytes"),
    ],
)
def test_what_is_no_key_is_one_clear_error(text: str, says: str) -> None:
    with pytest.raises(AuditError, match=says) as caught:
        parse_key(text)
    assert text.rpartition(":")[2] not in str(caught.value) or text == "hmac-sha256:00"


def test_keys_are_read_as_they_are_written(tmp_path: Path) -> None:
    for number, key in enumerate((new_key(), new_key(ED25519))):
        path = tmp_path / str(number)
        write_key(path, key)
        again = read_key(path)
        assert again.id == key.id
        assert again.checks(b"message", key.sign(b"message"))
        assert not again.checks(b"other", key.sign(b"message"))
        assert not again.checks(b"message", key.sign(b"message").upper())
        assert again.digest(b"x") == key.digest(b"x")
