"""A log that is rotated away: what follows it is linked to it, and both are checked together."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardrail.cli.audit import app
from guardrail.errors import AuditError
from guardrail.judging.guard import Guard
from guardrail.record.audit import AuditLog
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.interchange import DatabaseSource, export_jsonl
from guardrail.record.audit.queries import LogReader
from guardrail.request.conversation import question
from tests.record.audit.making import KEY, OTHER_KEY, decision, written


def rotated(folder: Path, records: int = 3) -> tuple[Path, Path]:
    """Returns an old log and the one that continues it, each of `records` decisions."""
    path, old = folder / "audit.db", folder / "audit.db.1"
    log = AuditLog(path, key=KEY)
    for at in range(records):
        log.append(decision(at))
    path.rename(old)
    assert log.reopen()
    for at in range(records):
        log.append(decision(at))
    log.close()
    return old, path


@pytest.mark.parametrize("records", [1, 3, 500])
def test_a_rotated_log_is_continued_by_a_signed_link(tmp_path: Path, records: int) -> None:
    old, new = rotated(tmp_path, records)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["audit.db", "audit.db.1"]
    before = verify_path(old, KEY)
    found = verify_path(new, KEY, after=old)
    assert before.ok
    assert found.ok, found.problem
    assert before.records == found.records == records + 1
    assert found.continues is not None
    assert found.continues.key == KEY.id
    assert found.continues.records == records + 1
    assert f"{found.continues.seq}:{found.continues.hash}" == before.anchor


def test_a_log_that_was_not_renamed_is_left_alone(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db", key=KEY)
    assert log.reopen()
    log.append(decision())
    assert log.reopen()
    assert log.append(decision()) == 2
    log.close()
    assert verify_path(log.path, KEY).continues is None


def test_an_append_between_the_renaming_and_the_signal_fails_and_loses_nothing(
    tmp_path: Path,
) -> None:
    path, old = tmp_path / "audit.db", tmp_path / "audit.db.1"
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    path.rename(old)
    with pytest.raises(AuditError, match="rotated"):
        log.append(decision(2))
    path.touch()  # as logrotate's `create`
    assert log.reopen()
    log.append(decision(3))
    log.close()
    assert verify_path(path, KEY, after=old).ok
    assert verify_path(old, KEY).records == 2


def test_a_reopening_that_has_to_wait_is_done_by_the_next_append(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.db", tmp_path / "audit.db.1"
    log = AuditLog(path, key=KEY)
    log.append(decision(1))
    path.rename(old)
    with log._lock:
        waiting = threading.Thread(target=lambda: results.append(log.reopen()))
        results: list[bool] = []
        waiting.start()
        waiting.join(20)
    assert results == [False]
    assert log.append(decision(2)) == 1
    log.close()
    assert verify_path(path, KEY, after=old).ok


def test_a_signal_has_a_guards_logs_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "audit.db", tmp_path / "audit.db.1"
    monkeypatch.setenv("GUARDRAIL_AUDIT_LOG", str(path))
    guard = Guard(judge=lambda request: 0.01)
    guard.decide(question("1"))
    before = signal.signal(signal.SIGHUP, lambda *_: guard.reopen_audit_logs() and None)
    try:
        path.rename(old)
        os.kill(os.getpid(), signal.SIGHUP)
        guard.decide(question("2"))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert verify_path(path, KEY, after=old).ok


def test_processes_that_share_a_log_follow_the_link(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.db", tmp_path / "audit.db.1"
    first, second, third = (AuditLog(path, key=KEY) for _ in range(3))
    for log in (first, second, third):
        log.append(decision())
    path.rename(old)
    assert first.reopen()
    first.append(decision())
    second.append(decision())  # it was told nothing
    assert third.reopen()
    third.append(decision())
    for log in (first, second, third):
        log.close()
    found = verify_path(path, KEY, after=old)
    assert found.ok, found.problem
    assert found.records == verify_path(old, KEY).records == 4


def test_a_log_that_continues_another_is_not_followed(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.db", 2)
    log = AuditLog(path, key=KEY)
    log.append(decision())
    (tmp_path / "other").mkdir()
    _, other = rotated(tmp_path / "other")
    os.replace(other, path)
    with pytest.raises(AuditError, match="was removed"):
        log.append(decision())
    assert not log.reopen()
    with pytest.raises(AuditError, match="another file is in its place"):
        log.append(decision())
    log.close()


def test_a_log_under_another_key_is_not_followed(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.db", tmp_path / "audit.db.1"
    log, forger = AuditLog(path, key=KEY), AuditLog(path, key=KEY)
    log.append(decision())
    forger.append(decision())
    forger._key = OTHER_KEY
    path.rename(old)
    assert not forger.reopen()  # the old log is not its own
    with pytest.raises(AuditError):
        log.append(decision())
    log.close()
    forger.close()


def test_logs_that_do_not_follow_each_other_are_told_apart(tmp_path: Path) -> None:
    old, new = rotated(tmp_path)
    alone = written(tmp_path / "alone.db", 2)
    for begun, before, says in (
        (alone, old, "begun, not continued"),
        (new, alone, "and the one given is"),
    ):
        found = verify_path(begun, KEY, after=before)
        assert found.problem is not None
        assert found.problem.kind == "link"
        assert says in found.problem.message
    with AuditLog(old, key=KEY) as log:
        log.append(decision())
    found = verify_path(new, KEY, after=old)
    assert found.problem is not None
    assert "ends with another" in found.problem.message


def test_an_altered_old_log_is_named(tmp_path: Path) -> None:
    old, new = rotated(tmp_path)
    old.write_bytes(old.read_bytes().replace(b'"mode":"', b'"mode" "', 1))
    found = verify_path(new, KEY, after=old)
    assert found.problem is not None
    assert "the log before it" in found.problem.message


def test_the_link_is_in_what_verify_prints_and_in_exports(tmp_path: Path) -> None:
    old, new = rotated(tmp_path)
    done = CliRunner().invoke(app, ["verify", str(new), "--after", str(old)])
    assert done.exit_code == 0
    assert "it continues the log" in done.output
    assert "after record 3" in done.output
    plain = json.loads(
        CliRunner().invoke(app, ["verify", str(new), "--after", str(old), "--json"]).output
    )
    assert plain["continues"]["seq"] == 3
    assert CliRunner().invoke(app, ["verify", str(old), "--after", str(new)]).exit_code == 1
    with LogReader(new) as reader, reader.unchanging() as connection:
        export_jsonl(DatabaseSource(connection), tmp_path / "new.jsonl")
    assert verify_path(tmp_path / "new.jsonl", KEY, after=old).ok
