"""A kill at any moment and a rerun give the identical report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation import layouts

DYING = Path(__file__).with_name("dying.py")


def report(moment: str, arguments: list[str]) -> dict[str, Any] | None:
    """Runs until the moment; None if it was killed there."""
    made = subprocess.run(
        [sys.executable, str(DYING), moment, *arguments], capture_output=True, text=True
    )
    if moment != "never":
        assert made.returncode == -signal.SIGKILL, made.stderr
        return None
    assert made.returncode == 0, made.stderr
    return untimed(json.loads(made.stdout))


def untimed(out: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs by the clock."""
    for each in out["systems"].values():
        del each["overhead"]
    return out


def kept(path: Path) -> int:
    return path.read_text("utf-8").count("\n") if path.is_file() else 0


def arguments(tmp_path: Path, name: str) -> list[str]:
    data = str(layouts.scenes(tmp_path / "scenes"))
    options = f"--json --limit 4 --batch 3 --systems unguarded,guarded --output {tmp_path / name}"
    return ["eval", "scenes", "--data", data, *options.split()]


def killed_and_rerun(tmp_path: Path, moments: list[str]) -> None:
    whole = report("never", arguments(tmp_path, "whole.jsonl"))
    for moment in moments:
        report(moment, arguments(tmp_path, "torn.jsonl"))
    assert report("never", arguments(tmp_path, "torn.jsonl")) == whole
    # The records are the same, too; a batch that was torn is behind, and no line is torn.
    lines = [
        (tmp_path / name).read_text("utf-8").splitlines() for name in ("whole.jsonl", "torn.jsonl")
    ]
    parsed = [[json.loads(line) for line in each] for each in lines]
    for row in (row for each in parsed for row in each):
        row.pop("seconds", None)
    assert parsed[0] == parsed[1]


def test_a_batch_torn_while_it_was_written_is_made_whole(tmp_path: Path) -> None:
    killed_and_rerun(tmp_path, ["write:2"])


@pytest.mark.slow
def test_kills_at_many_moments_in_a_row(tmp_path: Path) -> None:
    moments = ["replace:1", "batch:1", "write:1", "replace:1", "batch:2", "write:2", "write:1"]
    killed_and_rerun(tmp_path, moments)


@pytest.mark.slow
def test_the_embedded_model_killed_as_it_goes_gives_the_identical_report(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "guardrail", "eval", "scenes", "--json", "--limit", "5"]
    run += ["--batch", "4", "--systems", "unguarded,guarded", "--output"]
    whole = subprocess.run([*run, str(tmp_path / "whole.jsonl")], capture_output=True, check=True)
    torn = tmp_path / "torn.jsonl"
    for lines in (1, 6, 12, 24):
        process = subprocess.Popen(
            [*run, str(torn)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while kept(torn) < lines and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    again = subprocess.run([*run, str(torn)], capture_output=True, check=True)
    assert untimed(json.loads(again.stdout)) == untimed(json.loads(whole.stdout))
    assert os.listdir(tmp_path).count("torn.jsonl") == 1
