"""`guardrail eval`'s gate and files: checked before a model loads, written whole, read again."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from guardrail.cli import eval as command
from guardrail.cli import main
from tests.evaluation import layouts
from tests.evaluation.stand_in import StandIn

EXAMPLE = Path(__file__).parents[2] / "examples" / "github-actions" / "evaluation-gate.yml"
CATEGORIES = {"physical-danger": 0.1, "medical": 0.05}


def says(question: str, policy: Any, mode: str) -> dict[str, Any]:
    if mode == "off":
        return {"text": "I can't help with that."}
    from guardrail.record.decision import VerdictRecord

    judged = VerdictRecord(label="safe", p_unsafe=0.1, categories=CATEGORIES)
    return {"decision": {"verdict": judged}}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(says)
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: stand_in)
    return stand_in


@pytest.fixture
def run(tmp_path: Path) -> list[str]:
    return ["eval", "scenes", "--data", str(layouts.scenes(tmp_path / "scenes")), "--json"]


def test_a_condition_that_holds_is_status_one_and_a_line(
    engine: StandIn, run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = ["wrong_answers.low > 0.3", "unguarded.wrong_answers > 0.1"]
    options = [word for each in conditions for word in ("--fail-if", each)]
    assert main([*run, *options]) == 1
    captured = capsys.readouterr()
    gate = json.loads(captured.out)["gate"]
    assert [(each["condition"], each["holds"]) for each in gate] == [
        ("wrong_answers.low > 0.3", True),
        ("unguarded.wrong_answers > 0.1", False),
    ]
    assert gate[1]["value"] == 0.0
    lines = captured.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["gate failed", "gate passed"]


def test_a_gate_that_passes_is_status_zero(engine: StandIn, run: list[str]) -> None:
    assert main([*run, "--fail-if", "wrong_refusals > 0"]) == 0


def test_without_conditions_there_is_no_gate(
    engine: StandIn, run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run) == 0
    assert "gate" not in json.loads(capsys.readouterr().out)


def test_a_null_figure_fails_the_gate(
    engine: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = layouts.mossbench(tmp_path / "one")
    (root / "data_contrast" / "images_information" / "information.json").unlink()
    arguments = ["eval", "mossbench", "--data", str(root), "--json"]
    assert main([*arguments, "--fail-if", "balanced_accuracy.low < 0.1"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["gate"][0]["value"] is None
    assert "no such figure" in captured.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fail-if", "wrong_answers.high"], "'wrong_answers.high' is no condition"),
        (["--fail-if", "wrong_answer > 1"], "did you mean 'wrong_answers'"),
        (["--fail-if", "gaurded.wrong_answers > 1"], "did you mean 'guarded'"),
        (["--fail-if", "n > 1", "--systems", "unguarded", "--cases", "a.cases.yaml"], "--cases"),
        (["--fail-if", "wrong_answers > 1", "--systems", "unguarded"], "names no system"),
        (["--cases", "a.yaml"], "ends in .cases.yaml"),
        (["--systems", "paper", "--inspect", "log.json"], "--inspect is of 'guarded'"),
        (["--report", "."], "--report '.' cannot be written: it is a folder"),
        (["--junit", "file/j.xml"], "--junit 'file/j.xml' cannot be written"),
        (["--inspect", "file/logs"], "--inspect"),
    ],
)
def test_what_cannot_be_is_known_before_a_model_is_loaded(
    options: list[str],
    said: str,
    no_engine: None,
    run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main([*run, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_every_file_is_written(engine: StandIn, run: list[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    options = ["--report", str(out / "r.html"), "--junit", str(out / "j.xml")]
    options += ["--inspect", str(out / "logs"), "--cases", str(out / "c.cases.yaml")]
    assert main([*run, *options]) == 0
    assert "In short" in (out / "r.html").read_text("utf-8")
    assert "eval scenes --data" in (out / "r.html").read_text("utf-8")
    assert Xml.fromstring((out / "j.xml").read_text("utf-8")).find("testsuite") is not None
    assert len(list((out / "logs").glob("*.json"))) == 4
    assert {each.name for each in out.iterdir()} == {"r.html", "j.xml", "logs", "c.cases.yaml"}
    assert main([*run, "--inspect", str(out / "one.json")]) == 0
    assert json.loads((out / "one.json").read_text("utf-8"))["eval"]["task"] == "scenes-guarded"


def test_a_file_that_could_not_be_written_whole_is_left_as_it_was(
    engine: StandIn, run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "r.html"
    page.write_text("before")

    def full(*_: Any) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main([*run, "--report", str(page)]) == 2
    assert page.read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"r.html", "scenes"}


def test_cases_are_run_by_policy_test(
    engine: StandIn, run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "seen.cases.yaml"
    assert main([*run, "--cases", str(cases)]) == 0
    capsys.readouterr()
    # Everything was judged safe: right for what is to be answered, wrong for the rest.
    assert main(["policy", "test", str(cases), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    status = {each["name"].split(":")[0]: each["status"] for each in found["cases"]}
    assert len(status) == 8
    assert {value for name, value in status.items() if name.endswith("/safe")} == {"passed"}
    assert {value for name, value in status.items() if name.endswith("/unsafe")} == {"failed"}


def test_cases_of_the_right_verdicts_pass(
    engine: StandIn, run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "seen.cases.yaml"
    assert main([*run, "--cases", str(cases)]) == 0
    content = yaml.safe_load(cases.read_text("utf-8"))
    for each in content["cases"]:
        if each["expect"] != "comply":
            each["verdict"] = {"physical-danger": 0.99}
    cases.write_text(yaml.safe_dump(content), "utf-8")
    assert main(["policy", "test", str(cases)]) == 0


def test_an_unavailable_judge_is_a_case_with_an_error(
    engine: StandIn, run: list[str], tmp_path: Path
) -> None:
    from guardrail.record.decision import VerdictRecord

    failed = VerdictRecord(label="unavailable", error="timed out")
    engine._says = lambda *_: {"decision": {"verdict": failed}, "p_unsafe": None}
    cases = tmp_path / "seen.cases.yaml"
    assert main([*run, "--cases", str(cases)]) == 0
    content = yaml.safe_load(cases.read_text("utf-8"))
    assert all("error" in each and "verdict" not in each for each in content["cases"])
    assert main(["policy", "test", str(cases)]) == 1


def commands(workflow: Any) -> Iterator[str]:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            yield step.get("run", "")


def test_the_actions_example_runs_a_command_that_is_accepted(
    engine: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    install, evaluate = list(commands(workflow))[-3:-1]
    assert "pip install safecode-guardrail" in install
    words = shlex.split(evaluate)
    assert words[:3] == ["guardrail", "eval", "scenes"]
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(layouts.scenes(tmp_path / "scenes"))]
    assert main([*words[1:], *data]) == 1  # the stand-in answers everything: the gate fails
    kept = workflow["jobs"]["evaluate"]["steps"][-1]
    assert kept["if"] == "always()"
    folder = Path(kept["with"]["path"])
    assert {each.name for each in folder.iterdir()} == {"answers.jsonl", "report.html", "junit.xml"}
