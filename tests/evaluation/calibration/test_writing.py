"""The written policy: it extends, holds only what changed, checks, and appears in one go."""

import os
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import PolicyError
from guardrail.evaluation.calibration.fit import changed
from guardrail.evaluation.calibration.writing import (
    check_place,
    check_text,
    policy_text,
    write_text,
)
from guardrail.policy import Policy, load_policy

CHANGES: dict[str, Any] = {
    "judge": {"calibration": {"scale": 0.8, "bias": -0.1}},
    "verdict": {"unsafe_at": 0.905},
    "categories": [{"id": "offence", "safe_below": 0.1}],
}


def written(reference: str, out: Path, changes: dict[str, Any] = CHANGES) -> Policy:
    original = load_policy(reference)
    text = policy_text(original, reference, changes, out=out, lines=["from here", ""])
    assert not check_text(text, out, changed(original, changes))
    write_text(text, out)
    return load_policy(out)


def test_a_packs_policy_is_extended_by_its_name(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "calibrated.yaml"
    found = written("baseline", out)
    assert found.rules == changed(load_policy("baseline"), CHANGES).rules
    assert found.judge.calibration is not None
    assert found.name == "baseline-calibrated"
    text = out.read_text("utf-8")
    assert text.startswith("# from here\n#\nversion: 1\n")
    assert "extends: baseline\n" in text
    assert "question" not in text
    assert [each.name for each in out.parent.iterdir()] == ["calibrated.yaml"]


def test_a_file_is_extended_by_its_path_from_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "acme.yaml").write_text("version: 1\nname: acme\nextends: baseline\n")
    monkeypatch.chdir(tmp_path / "own")
    written("acme.yaml", tmp_path / "new" / "policy.yaml")
    assert "extends: ../own/acme.yaml\n" in (tmp_path / "new" / "policy.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    assert load_policy("new/policy.yaml").rules[0].unsafe_at == 0.905


def test_a_calibrated_policy_may_be_calibrated_again(tmp_path: Path) -> None:
    written("baseline", tmp_path / "first.yaml")
    again = written(
        str(tmp_path / "first.yaml"), tmp_path / "second.yaml", {"verdict": {"unsafe_at": 0.7}}
    )
    assert again.name == "baseline-calibrated"
    assert again.verdict.unsafe_at == 0.7
    assert again.judge.calibration is not None


def test_a_locked_key_is_one_clear_error_and_nothing_is_written(tmp_path: Path) -> None:
    locking = tmp_path / "locking.yaml"
    locking.write_text(
        "version: 1\nname: locking\nextends: baseline\nlocked: [verdict.unsafe_at]\n"
    )
    out = tmp_path / "out.yaml"
    with pytest.raises(PolicyError, match=r"unsafe_at is locked by .*locking.yaml"):
        written(str(locking), out)
    assert not out.exists()


def test_a_text_that_decides_otherwise_is_not_accepted(tmp_path: Path) -> None:
    original = load_policy("baseline")
    text = policy_text(original, "baseline", CHANGES, out=tmp_path / "x.yaml", lines=[])
    with pytest.raises(PolicyError, match="would not decide as"):
        check_text(text, tmp_path / "x.yaml", original)


def test_a_comment_cannot_become_a_key(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    original = load_policy("baseline")
    text = policy_text(original, "baseline", {}, out=out, lines=["a\nmode: 'off'\x85b\u2028c\x1b"])
    assert len(text.split("version: 1")[0].splitlines()) == 1
    check_text(text, out, original)


def test_a_place_is_checked_before_any_work(tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    (tmp_path / "folder.yaml").mkdir()
    check_place(tmp_path / "new.yaml", force=False)
    check_place(there, force=True)
    for path, said in (
        (there, "there already"),
        (tmp_path / "folder.yaml", "not a file"),
        (tmp_path / "new.txt", "no path of a policy"),
    ):
        with pytest.raises(PolicyError, match=said):
            check_place(path, force=False)
    assert there.read_text() == "mine"


def test_a_failure_on_the_way_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "policy.yaml"
    out.write_text("old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PolicyError, match=r"cannot write .*no space left"):
        write_text("new", out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
