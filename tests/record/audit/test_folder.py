"""A folder of logs is checked as a whole: one that was tampered with among good ones is found."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from guardrail import Policy, load_policy
from guardrail.cli import main
from guardrail.record.audit import AuditLog
from guardrail.record.audit.folder import verify_folder
from guardrail.record.audit.observer import LOG_VARIABLE, log_path
from tests.record.audit.making import KEY, OTHER_KEY, decision, written
from tests.record.audit.test_cli import altered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    for name in ("a", "b", "c"):
        written(made / f"{name}.db", 3)
    (made / "README").write_text("what is in here")
    (made / "lock").touch()
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["audit", "verify", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_all_logs_hold_with_an_export_among_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["audit", "export", str(folder / "a.db"), str(folder / "old.jsonl")])
    capsys.readouterr()
    status, out, err = run(capsys, folder)
    assert (status, err) == (0, "")
    *logs, count, others = out.splitlines()
    assert [each.split()[:2] for each in logs] == [
        ["verified", name] for name in ("a.db", "b.db", "c.db", "old.jsonl")
    ]
    assert (count, others) == ("4 logs", "no logs: README, lock")
    status, out, _ = run(capsys, folder, "--json")
    found = json.loads(out)
    assert (status, found["ok"], found["others"]) == (0, True, ["README", "lock"])
    assert [each["file"] for each in found["logs"]] == ["a.db", "b.db", "c.db", "old.jsonl"]
    assert all(each["records"] == 4 and each["signed"] for each in found["logs"])


def test_one_that_was_tampered_with_among_good_ones_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    altered(folder / "b.db", 2)
    status, out, _ = run(capsys, folder)
    assert status == 1
    first, second, third, count, _ = out.splitlines()
    assert first.startswith("verified")
    assert second.startswith("NOT VERIFIED  b.db")
    assert "record 2" in second
    assert third.startswith("verified")
    assert count == "3 logs, 1 not verified"
    status, out, _ = run(capsys, folder, "--json")
    found = json.loads(out)
    assert (status, found["ok"]) == (1, False)
    assert [each["ok"] for each in found["logs"]] == [True, False, True]


@pytest.mark.parametrize("done", ["garbage", "emptied", "other key", "cut", "removed", "dangling"])
def test_a_log_that_was_destroyed_is_one_that_fails(folder: Path, done: str) -> None:
    log = folder / "b.db"
    if done == "garbage":
        log.write_bytes(b"no log at all" * 1000)
    elif done == "emptied":
        log.write_bytes(b"")
    elif done == "other key":
        log.unlink()
        written(log, 2, OTHER_KEY)
    elif done == "cut":
        log.write_bytes(log.read_bytes()[:5000])
    elif done == "removed":
        log.unlink()
        (folder / "b.db-wal").write_bytes(b"records")
    else:
        log.unlink()
        log.symlink_to(folder / "nowhere")
    found = verify_folder(folder, KEY)
    assert [(name, each.ok) for name, each in found.logs] == [
        ("a.db", True),
        ("b.db", False),
        ("c.db", True),
    ]


def test_logs_that_are_written_to_meanwhile_hold(tmp_path: Path) -> None:
    enough = threading.Event()

    def write(at: int) -> None:
        with AuditLog(tmp_path / f"{at}.db", key=KEY) as log:
            while not enough.is_set():
                log.append(decision(at))

    writers = [threading.Thread(target=write, args=(at,)) for at in range(3)]
    written(tmp_path / "first.db", 1)
    for each in writers:
        each.start()
    try:
        checks = [verify_folder(tmp_path, KEY) for _ in range(6)]
    finally:
        enough.set()
        for each in writers:
            each.join()
    problems = [each.problem for found in checks for _, each in found.logs if each.problem]
    assert problems == []
    assert len(checks[-1].logs) == 4


def test_a_log_that_has_nothing_in_it_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    begun = threading.Timer(0.05, lambda: written(path, 1))
    begun.start()
    found = verify_folder(tmp_path, KEY)
    begun.join()
    assert found.ok


def test_a_log_that_another_one_continues_ends_where_that_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with AuditLog(path, key=KEY) as log:
        log.append(decision(1))
        log.append(decision(2))
        path.rename(tmp_path / "a.1.db")
        log.reopen()
        log.append(decision(3))
    assert verify_folder(tmp_path, KEY).ok
    with AuditLog(tmp_path / "a.1.db", key=KEY) as log:
        log.append(decision(4))  # after the new one was begun
    found = dict(verify_folder(tmp_path, KEY).logs)
    assert found["a.1.db"].ok
    problem = found["a.db"].problem
    assert problem is not None
    assert problem.kind == "link"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{}/none"], "no audit log"),
        (["{}/README"], "no audit log"),
        (["{}", "--anchor", f"1:{'0' * 64}"], "not of a folder"),
        (["{}", "--after", "x.db"], "not of a folder"),
        (["{}/empty"], "there is no audit log in"),
    ],
)
def test_bad_use_is_one_line_and_exits_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (folder / "empty").mkdir()
    status, out, err = run(capsys, *[each.format(folder) for each in arguments])
    assert (status, out) == (2, "")
    [line] = err.splitlines()
    assert says in line


def test_in_a_folder_a_process_has_a_log_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy: Policy = load_policy("baseline")
    monkeypatch.setattr("socket.gethostname", lambda: "pod/7 a")
    own = f"guardrail-pod-7-a-{os.getpid()}.db"
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path))
    assert log_path(policy) == str(tmp_path / own)
    monkeypatch.setenv(LOG_VARIABLE, f"{tmp_path}/new/")
    assert log_path(policy) == str(tmp_path / "new" / own)
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "audit.db"))
    assert log_path(policy) == str(tmp_path / "audit.db")
