"""A policy file that changes under a running engine."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrail.policy import FixedPolicy, PolicyFile, PolicyWatcher, Reload, policy_source
from guardrail.policy import sources as module
from guardrail.policy.evaluation import decide
from guardrail.policy.verdict import Verdict

GOOD = "version: 1\nname: {name}\nextends: baseline\nverdict: {{unsafe_at: {at}}}\n"


PATIENCE_S = 120
"""How long a condition is waited for: the machine may be slow, and busy with other things."""


def put(path: Path, text: str) -> None:
    """Writes a file as one should: a finished one takes the old one's place."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def until(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished files are put in place here: none need be left alone before it is taken."""
    monkeypatch.setattr(module, "SETTLE_S", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    put(path, GOOD.format(name="old", at=0.6))
    return path


def test_a_changed_file_is_taken(path: Path) -> None:
    seen: list[Reload] = []
    file = PolicyFile(path, interval_s=0, on_reload=seen.append)
    old = file.current()
    assert file.current() is old
    put(path, GOOD.format(name="new", at=0.7))
    new = file.current()
    assert (new.name, new.verdict.unsafe_at) == ("new", 0.7)
    assert old.name == "old"
    assert seen == [Reload(True, (old.digest,), (new.digest,))]


def test_a_bad_file_is_not_taken_and_said_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Reload] = []
    file = PolicyFile(path, interval_s=0, on_reload=seen.append)
    old = file.current()
    put(path, "version: 1\nname: new\nextends: baseline\nmode: of\n")
    with caplog.at_level(logging.ERROR, "guardrail.policy"):
        for _ in range(5):
            assert file.current() is old
    assert len(seen) == len(caplog.records) == 1
    assert not seen[0].taken
    assert file.error is not None
    assert "acme.yaml:4:7" in file.error
    put(path, GOOD.format(name="new", at=0.7))
    assert file.current().name == "new"
    assert file.error is None


def test_a_file_written_again_as_it_was_is_no_news(path: Path) -> None:
    seen: list[Reload] = []
    file = PolicyFile(path, interval_s=0, on_reload=seen.append)
    put(path, "# a comment\n" + GOOD.format(name="old", at=0.6))
    assert file.refresh() is None
    assert seen == []


def test_a_missing_file_keeps_the_old_policy(path: Path) -> None:
    file = PolicyFile(path, interval_s=0)
    path.unlink()
    assert file.current().name == "old"
    assert file.error is not None
    put(path, GOOD.format(name="back", at=0.6))
    assert file.current().name == "back"


def test_a_file_that_is_being_written_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PolicyFile(path, interval_s=0)
    monkeypatch.setattr(module, "SETTLE_S", 3600)
    put(path, GOOD.format(name="new", at=0.7))
    assert file.refresh(wait=False) is None
    assert file.current().name == "old"
    monkeypatch.setattr(module, "SETTLE_S", 0)
    assert file.current().name == "new"


def test_who_asks_for_a_refresh_gets_what_was_just_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_S", 0.1)
    monkeypatch.setattr(module, "PATIENCE_S", PATIENCE_S)
    file = PolicyFile(path, interval_s=None)
    path.write_text(GOOD.format(name="new", at=0.7), encoding="utf-8")
    report = file.refresh()
    assert report is not None
    assert report.taken
    assert file.current().name == "new"


def test_a_file_written_while_it_was_first_read_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written within one tick of the clock cannot be told by its time."""
    now = time.time_ns()
    monkeypatch.setattr(module, "_signature", lambda paths: ((path, (now, now, 1, 1)),))
    monkeypatch.setattr(module, "SETTLE_S", 3600)
    file = PolicyFile(path, interval_s=0)
    put(path, GOOD.format(name="new", at=0.7))
    monkeypatch.setattr(module, "SETTLE_S", 0)
    assert file.current().name == "new"


def test_a_change_that_keeps_size_and_time_is_noticed(path: Path) -> None:
    """As `cp -p` and `rsync --inplace -t` write."""
    file = PolicyFile(path, interval_s=0)
    before = path.stat()
    path.write_text(GOOD.format(name="new", at=0.7), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (
        before.st_mtime_ns, before.st_size, before.st_ino,
    )  # fmt: skip
    assert file.current().name == "new"


def test_a_working_directory_that_is_gone_changes_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    file = PolicyFile(path, interval_s=0)
    gone.rmdir()
    put(path, GOOD.format(name="new", at=0.7))
    assert file.current().name == "new"


def test_a_changed_parent_is_noticed(path: Path, tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    put(child, "version: 1\nname: child\nextends: ./acme.yaml\n")
    file = PolicyFile(child, interval_s=0)
    put(path, GOOD.format(name="parent", at=0.9))
    assert file.current().verdict.unsafe_at == 0.9


def test_a_link_that_is_turned_is_noticed(tmp_path: Path) -> None:
    """As mounted configuration is exchanged: the file is a link through a folder that is one."""
    for name, at in (("one", 0.6), ("two", 0.7)):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "acme.yaml", GOOD.format(name=name, at=at))
    (tmp_path / "now").symlink_to("one")
    file = PolicyFile(tmp_path / "now" / "acme.yaml", interval_s=0)
    assert file.current().name == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "now")
    assert file.current().name == "two"


def test_a_reload_under_load_loses_and_mixes_no_request(path: Path) -> None:
    """Each request keeps one policy from its beginning to its end, whatever happens to the file."""
    seen: list[Reload] = []
    file = PolicyFile(path, interval_s=0.001, on_reload=seen.append)
    verdict = Verdict({c.id: 0.5 for c in file.current().categories})
    wrong: list[str] = []
    served = [0] * 4
    stop = threading.Event()

    def serve(worker: int) -> None:
        while not stop.wait(0.001):
            policy = file.current()
            name, at, digest = policy.name, policy.verdict.unsafe_at, policy.digest
            ruling = decide(policy, verdict)
            expected = {"old": (0.6, "refuse"), "new": (0.7, "comply")}[name]
            if (at, ruling.action) != expected or policy.digest != digest:
                wrong.append(f"{name} {at} {ruling.action}")
            served[worker] += 1

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()

    def change(text: str) -> None:
        """Exchanges the file, and waits until that is noticed and every worker has gone on."""
        noticed = len(seen)
        put(path, text)
        until(lambda: len(seen) == noticed + 1)
        before = list(served)
        until(lambda: all(now > then for now, then in zip(served, before, strict=True)))

    try:
        for _ in range(5):
            change(GOOD.format(name="new", at=0.7))
            change("version: 1\nname: [\n")
            assert file.current().name == "new"
            change(GOOD.format(name="old", at=0.6))
            assert file.current().name == "old"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert [report.taken for report in seen] == [True, False, True] * 5


def test_the_watcher_takes_changes_on_its_own(path: Path) -> None:
    taken = threading.Event()
    file = PolicyFile(path, interval_s=None, on_reload=lambda report: taken.set())
    with PolicyWatcher(file, interval_s=0.005):
        put(path, GOOD.format(name="new", at=0.7))
        assert taken.wait(PATIENCE_S)
    assert file.current().name == "new"


def test_the_watcher_outlives_a_caller_that_raises(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def report(reload: Reload) -> None:
        calls.append(reload)
        if len(calls) == 1:
            raise RuntimeError("the caller's own")

    file = PolicyFile(path, interval_s=None, on_reload=report)
    with PolicyWatcher(file, interval_s=0.005):
        put(path, GOOD.format(name="new", at=0.7))
        until(lambda: len(calls) == 1)
        put(path, GOOD.format(name="newer", at=0.8))
        until(lambda: len(calls) == 2)
    assert file.current().name == "newer"


def test_anything_is_a_source(path: Path) -> None:
    file = PolicyFile(path)
    assert policy_source(file) is file
    assert isinstance(policy_source(file.current()), FixedPolicy)
    assert policy_source(file.current()).current({"tenant": "x"}) is file.current()
    assert policy_source("baseline").current().name == "baseline"
    assert policy_source(str(path)).current().name == "old"
