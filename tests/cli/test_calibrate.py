"""`guardrail calibrate`: its report, its policy, going on, and what it refuses beforehand."""

import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import calibrate as command
from guardrail.cli import main
from guardrail.policy import load_policy
from guardrail.record.decision import VerdictRecord
from tests.evaluation import layouts
from tests.evaluation.stand_in import StandIn

IDS = [each.id for each in load_policy("baseline").categories]
PAIRS = 240
TARGETS = ["--target", "wrong_refusals <= 0.1", "--target", "wrong_answers <= 10%"]


def believing(question: str, policy: Any, mode: str) -> dict[str, Any]:
    """Believes what the side asks for, by chance; questions of a side differ in their wording."""
    drawn = random.Random(question).random()
    p = 0.5 * drawn if "unsafe" not in question else 1 - 0.5 * drawn
    return {"decision": {"verdict": VerdictRecord(categories=dict.fromkeys(IDS, p))}}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(believing)
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: stand_in)
    return stand_in


def mossbench(root: Path, *, pairs: int = PAIRS) -> str:
    """A set in a published layout whose two sides have questions of their own."""
    for folder, side in (("data", "safe"), ("data_contrast", "unsafe")):
        rows = {}
        for at in range(pairs):
            layouts.picture(root / folder / "images" / f"{at}.png", level=at % 200)
            rows[str(at)] = {"image": f"images/{at}.png", "question": f"The {side} one, {at}?"}
        layouts.write_json(root / folder / "images_information" / "information.json", rows)
    return str(root)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return mossbench(tmp_path / "set")


def test_json_has_the_fit_the_measures_and_the_promise(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy.yaml"
    arguments = ["calibrate", "mossbench", "--data", data, *TARGETS, "--json", "--repeat", "3"]
    assert main([*arguments, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert len(engine.asked) == 2 * PAIRS
    assert report["split"]["fitted"]["requests"] == PAIRS
    assert report["promise"]["fitted"] == 3
    for kind in ("wrong_refusals", "wrong_answers"):
        low, high = report["after"][kind]["interval"]
        assert low <= report["after"][kind]["value"] <= high
        assert report["thresholds"]["targets"][kind]["bound"] <= 0.1
        assert not report["promises"][kind]["broken"]
    written = load_policy(out)
    assert {"unsafe_at": written.verdict.unsafe_at, "safe_below": written.verdict.safe_below} == (
        report["rules"]["after"]["verdict"]
    )
    text = out.read_text("utf-8")
    assert text.startswith("# Calibrated on ")
    for said in (report["samples"], "target: wrong_refusals <= 0.1 with 95%", "extends: baseline"):
        assert said in text


def test_the_command_in_the_policy_makes_it_again(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy.yaml"
    arguments = ["calibrate", "mossbench", "--data", data, *TARGETS, "--seed", "7", "--force"]
    assert main([*arguments, "--out", str(out)]) == 0
    before = out.read_text("utf-8")
    line = next(each for each in before.splitlines() if each.startswith("# command: "))
    words = shlex.split(line.removeprefix("# command: "))
    assert words[0] == "guardrail"
    assert main(words[1:]) == 0
    assert out.read_text("utf-8") == before


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(
    width: int,
    engine: StandIn,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    arguments = ["calibrate", "mossbench", "--data", data, *TARGETS, "--repeat", "2"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for part in ("may go wrong", "safe_below", "wrong answers", "by chance", "Brier", "ECE"):
        assert part in out
    assert not list(tmp_path.glob("*.yaml"))


def test_too_few_exits_with_one_names_how_many_and_writes_nothing(
    engine: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = mossbench(tmp_path / "small", pairs=10)
    out = tmp_path / "policy.yaml"
    arguments = ["calibrate", "mossbench", "--data", small, "--out", str(out)]
    assert main([*arguments, "--target", "wrong_refusals <= 0.02"]) == 1
    captured = capsys.readouterr()
    assert "takes 149 clusters" in captured.err
    assert "there are 5" in captured.err
    assert captured.err.count("\n") == 1
    assert not out.exists()
    assert main([*arguments, "--target", "wrong_refusals <= 0.02", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["after"] is None


def test_a_set_of_one_side_serves_the_target_of_that_side(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = mossbench(tmp_path / "one")
    for path in sorted(Path(one, "data_contrast").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(one, "data_contrast").rmdir()
    assert main(["calibrate", "mossbench", "--data", one, *TARGETS[:2]]) == 0
    assert "it takes both labels" in " ".join(capsys.readouterr().out.split())
    assert main(["calibrate", "mossbench", "--data", one, *TARGETS]) == 1


def test_a_judge_that_never_answers_fails_the_target(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine._says = lambda *_: {"decision": {"verdict": VerdictRecord(error="no judge")}}
    assert main(["calibrate", "mossbench", "--data", data, *TARGETS[:2]]) == 1
    captured = capsys.readouterr()
    assert "not judged at all" in captured.err
    assert f"{2 * PAIRS} requests could not be judged" in captured.out


def test_kept_verdicts_need_no_model(
    engine: StandIn,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = str(tmp_path / "verdicts.jsonl")
    arguments = ["calibrate", "mossbench", "--data", data, "--json", "--output", kept]
    assert main([*arguments, *TARGETS]) == 0
    first = json.loads(capsys.readouterr().out)

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)
    assert main([*arguments, *TARGETS]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main([*arguments, "--target", "wrong_refusals <= 0.2"]) == 0


def test_a_run_that_was_interrupted_goes_on_and_reports_the_same(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    arguments = ["calibrate", "mossbench", "--data", data, "--json", *TARGETS, "--output"]
    assert main([*arguments, str(whole)]) == 0
    expected = json.loads(capsys.readouterr().out)

    def interrupted(*asked: Any) -> dict[str, Any]:
        if len(engine.asked) > 3 * PAIRS:
            raise KeyboardInterrupt
        return believing(*asked)

    engine._says = interrupted
    assert main([*arguments, str(part)]) == 130
    part.write_bytes(part.read_bytes()[:-40])
    before = len(engine.asked)
    engine._says = believing
    assert main([*arguments, str(part)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < len(engine.asked) - before < 2 * PAIRS
    assert {**found, "command": ""} == {**expected, "command": ""}
    assert part.read_bytes() == whole.read_bytes()


def test_a_killed_run_goes_on(data: str, tmp_path: Path) -> None:
    """Killed in the middle, with no chance to tidy up."""
    path = tmp_path / "verdicts.jsonl"
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from guardrail.cli import calibrate, main
from tests.cli.test_calibrate import believing
from tests.evaluation.stand_in import StandIn
engine = StandIn(believing)
def dying(*asked):
    if len(engine.asked) > 100:
        os.kill(os.getpid(), 9)
    return believing(*asked)
if sys.argv[1] == "die":
    engine._says = dying
calibrate.load_engine = lambda *_, **__: engine
status = main({["calibrate", "mossbench", "--data", data, "--output", str(path), *TARGETS]!r})
print(len(engine.asked))
sys.exit(status)
"""

    def run(how: str) -> Any:
        return subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True)

    assert run("die").returncode == -9
    kept = len(path.read_text().splitlines()) - 1
    assert kept == 96  # six whole batches
    finished = run("live")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == str(2 * PAIRS - kept)


def test_a_policy_that_locks_its_thresholds_is_respected(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locking = tmp_path / "locking.yaml"
    locking.write_text("version: 1\nname: locking\nextends: baseline\nlocked: [verdict]\n")
    out = tmp_path / "policy.yaml"
    arguments = ["calibrate", "mossbench", "--data", data, "--policy", str(locking), *TARGETS]
    assert main([*arguments, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert "is locked by" in captured.err
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_another_judge_is_another_run(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["calibrate", "mossbench", "--data", data, *TARGETS]
    arguments += ["--output", str(tmp_path / "verdicts.jsonl")]
    assert main(arguments) == 0
    assert main([*arguments, "--policy", "strict"]) == 0  # other thresholds, the same questions
    capsys.readouterr()
    assert main([*arguments, "--policy", "kids"]) == 2
    assert "another questions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no target is given"),
        (["--target", "wrong <= 1"], "target is 'wrong <= 1'"),
        ([*TARGETS, "--confidence", "1"], "confidence is 1.0"),
        ([*TARGETS, "--confidence", "nan"], "confidence is nan"),
        ([*TARGETS, "--batch", "0"], "batch is 0"),
        ([*TARGETS, "--seed", "-1"], "seed is -1"),
        ([*TARGETS, "--limit", "0"], "limit is 0"),
        ([*TARGETS, "--guarantee", "luck"], "guarantee is 'luck'"),
        ([*TARGETS, "--category", "x"], "category is 'x', expected NAME=ID"),
        ([*TARGETS, "--category", "x=ofence"], "did you mean offence?"),
        ([*TARGETS, "--policy", "absent.yaml"], "absent.yaml"),
        ([*TARGETS, "--out", "policy.txt"], "no path of a policy file"),
        ([*TARGETS, "--out", "{there}"], "is there already"),
        ([*TARGETS, "--output", "{there}"], "is no verdicts file"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    arguments: list[str],
    said: str,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)
    there = tmp_path / "there.yaml"
    there.write_text("mine: true\n")
    given = [each.format(there=there) for each in arguments]
    assert main(["calibrate", "mossbench", "--data", data, *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert there.read_text() == "mine: true\n"
