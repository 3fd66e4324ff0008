"""A log under a running process: whatever is done to its files, nothing passes as recorded."""

import os
import shutil
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
from guardrail.record.audit.retention import prune
from guardrail.request.conversation import question
from tests.record.audit.making import KEY, decision, written

BESIDE = ("", "-wal", "-shm")


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def delete(path: Path) -> None:
    for ending in BESIDE:
        beside(path, ending).unlink(missing_ok=True)


def delete_the_file_alone(path: Path) -> None:
    path.unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name("audit.db.1"))


def rename_and_make_an_empty_one(path: Path) -> None:
    rename(path)
    path.touch()


def remove_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def exchange_for_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def exchange_for_another_log(path: Path) -> None:
    written(path.with_name("other"), 9)
    os.replace(path.with_name("other"), path)


def exchange_for_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_with_text(path: Path) -> None:
    path.write_bytes(b"no database any more" * 1000)


def overwrite_with_another_log(path: Path) -> None:
    shutil.copyfile(written(path.with_name("other"), 40), path)


def overwrite_with_another_database(path: Path) -> None:
    with closing(sqlite3.connect(path.with_name("other"))) as connection:
        connection.execute("CREATE TABLE users (id)")
    shutil.copyfile(path.with_name("other"), path)


def delete_the_wal(path: Path) -> None:
    beside(path, "-wal").unlink()


def delete_the_shm(path: Path) -> None:
    beside(path, "-shm").unlink()


def empty_the_wal(path: Path) -> None:
    os.truncate(beside(path, "-wal"), 0)


def cut_the_wal(path: Path) -> None:
    os.truncate(beside(path, "-wal"), 5000)


ATTACKS = [
    delete,
    delete_the_file_alone,
    rename,
    rename_and_make_an_empty_one,
    remove_the_folder,
    exchange_for_a_copy,
    exchange_for_another_log,
    exchange_for_a_folder,
    empty,
    cut,
    overwrite_with_text,
    overwrite_with_another_log,
    overwrite_with_another_database,
    delete_the_wal,
    delete_the_shm,
    empty_the_wal,
    cut_the_wal,
]


def small(path: Path) -> None:
    """A log of which all still waits in the write-ahead log but the beginning."""
    written(path, 20)


def moved(path: Path) -> None:
    """A log of which much was moved into the file while it was open."""
    written(path, 400)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_recorded_once_the_files_were_touched(
    tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    path = tmp_path / "logs" / "audit.db"
    path.parent.mkdir()
    small(path)
    log = AuditLog(path, key=KEY)
    for at in range(5):
        log.append(decision(at))
    attack(path)
    with pytest.raises(AuditError, match=r"audit\.db"):
        log.append(decision(6))
    if attack not in (delete_the_shm, delete_the_wal, empty_the_wal, cut_the_wal):
        for _ in range(2):
            with pytest.raises(AuditError, match=r"audit\.db"):
                log.append(decision(7))
    log.close()


@pytest.mark.parametrize("attack", [delete_the_wal, empty_the_wal, empty])
def test_one_record_is_enough_to_miss_it(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    path = written(tmp_path / "audit.db", 3)
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    attack(path)
    for _ in range(2):
        with pytest.raises(AuditError, match=r"audit\.db"):
            log.append(decision(2))
    log.close()


@pytest.mark.parametrize("attack", [delete, rename, exchange_for_a_copy])
def test_a_request_fails_whose_record_has_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Callable[[Path], None]
) -> None:
    path = tmp_path / "audit.db"
    monkeypatch.setenv("GUARDRAIL_AUDIT_LOG", str(path))
    guard = Guard(judge=lambda request: 0.01)
    guard.decide(question("1"))
    attack(path)
    for text in ("2", "3"):
        with pytest.raises(AuditError, match="was removed"):
            guard.decide(question(text))


def test_an_older_copy_written_over_the_open_log_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    shutil.copy(path, tmp_path / "older")
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.append(decision(2))
    shutil.copyfile(tmp_path / "older", path)
    with pytest.raises(AuditError, match="older copy"):
        log.append(decision(3))
    log.close()


def test_an_older_copy_restored_by_sqlite_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    shutil.copy(path, tmp_path / "older")
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    with (
        closing(sqlite3.connect(tmp_path / "older")) as older,
        closing(sqlite3.connect(path)) as to,
    ):
        older.backup(to)
    for _ in range(2):
        with pytest.raises(AuditError, match="older copy"):
            log.append(decision(2))
    log.close()


def test_an_older_copy_that_another_process_went_on_with_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    shutil.copy(path, tmp_path / "older")
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    log.close()
    shutil.copyfile(tmp_path / "older", path)
    written(path, 9)  # it ends later than what was written before, and is signed
    with pytest.raises(AuditError, match="does not hold record 6"):
        log.append(decision(2))
    log.close()


def test_a_closed_log_may_be_pruned_before_it_is_opened_again(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 5)
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    log.close()
    written(path, 4)
    prune(AuditLog(path, key=KEY), keep=1)
    log.append(decision(2))
    log.close()
    assert verify_path(path, KEY).ok


_LEAVING = """
import os, sys
from pathlib import Path
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit import AuditLog
from tests.record.audit.making import KEY, decision
path = Path(sys.argv[1])
log = AuditLog(path, key=KEY)
log.append(decision(1))
verify_path(path, KEY)
if os.fork() == 0:
    other = AuditLog(path, key=KEY)
    other.append(decision(2))
    other.close()
    os._exit(0)
os.wait()
log.append(decision(3))
log.close()
assert verify_path(path, KEY).records == 4
"""


def test_checking_a_log_keeps_the_writers_hold_on_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LEAVING, str(tmp_path / "audit.db")]
    root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run(command, env=root, timeout=120, check=False).returncode == 0


def test_a_link_that_points_elsewhere_is_found(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a.db", 2), written(tmp_path / "b.db", 7)
    link = tmp_path / "audit.db"
    link.symlink_to(first)
    log = AuditLog(link, key=KEY)
    log.append(decision(1))
    link.unlink()
    link.symlink_to(second)
    with pytest.raises(AuditError, match="was removed"):
        log.append(decision(2))
    log.close()
    assert verify_path(first, KEY).records == 4
    assert verify_path(second, KEY).records == 8


def test_a_log_put_back_takes_records_again(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 2)
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    rename(path)
    with pytest.raises(AuditError, match="was removed or renamed"):
        log.append(decision(2))
    path.with_name("audit.db.1").rename(path)
    assert log.append(decision(3)) == 4
    log.close()
    assert verify_path(path, KEY).ok


def test_what_lies_at_the_path_by_now_is_not_deleted_on_closing(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 2)
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    delete(path)
    other = AuditLog(path, key=KEY)
    other.append(decision(2))
    log.close()
    other.append(decision(3))
    other.close()
    assert verify_path(path, KEY).records == 3


def test_what_others_do_to_a_log_by_right_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    moved(path)
    log, other = AuditLog(path, key=KEY), AuditLog(path, key=KEY)
    for at in range(300):
        log.append(decision(at))
        other.append(decision(at))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.append(decision(1))
    prune(AuditLog(path, key=KEY), keep=3)
    other.append(decision(2))
    log.append(decision(3))
    os.chmod(path, 0o640)
    os.utime(path)
    assert verify_path(path, KEY).ok  # opens and closes the file beside the open ones
    other.append(decision(4))
    log.close()
    other.append(decision(5))
    other.close()
    assert verify_path(path, KEY).ok


_FORKING = """
import os, random, sys
from guardrail.errors import AuditError
from guardrail.record.audit import AuditLog
from guardrail.record.audit.bench import synthetic_decision
log = AuditLog(sys.argv[1])
log.append(synthetic_decision(random.Random(1)))
child = os.fork()
if child == 0:
    log.append(synthetic_decision(random.Random(2)))
    os.unlink(sys.argv[1])
    try:
        log.append(synthetic_decision(random.Random(3)))
    except AuditError as error:
        sys.exit(0 if "was removed" in str(error) else 4)
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
try:
    log.append(synthetic_decision(random.Random(4)))
except AuditError as error:
    sys.exit(0 if "was removed" in str(error) else 5)
sys.exit(6)
"""


def test_forked_processes_see_it_as_well(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FORKING, str(tmp_path / "audit.db")]
    root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run(command, env=root, timeout=120, check=False).returncode == 0
