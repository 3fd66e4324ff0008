"""`guardrail calibrate --fit …`: steering by running the model, kept answers, what is written."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import calibrate as command
from guardrail.cli import calibrate_fits, main
from guardrail.evaluation.systems import bias
from guardrail.evaluation.systems.system import as_it_is
from guardrail.policy import load_policy
from tests.cli.test_calibrate import IDS, VerdictRecord, mossbench
from tests.evaluation.stand_in import StandIn

PAIRS = 60


def answering(question: str, policy: Any, mode: str) -> dict[str, Any]:
    """Refuses by chance; with a grey picture to contrast with, what is unsafe."""
    unsafe = "unsafe" in question
    refused = random.Random(question).random() < 0.5
    if mode == "enforce" and policy.contrast.when == "always":
        grey = policy.contrast.counterfactual == "grey" and policy.contrast.alpha == 1.0
        refused = unsafe if grey else refused
    verdict = VerdictRecord(categories=dict.fromkeys(IDS, 0.9 if unsafe else 0.1))
    text = "I'm sorry, I can't help with that." if refused else "Sure."
    return {"text": text, "decision": {"verdict": verdict}}


def by_chance(question: str, policy: Any, mode: str) -> dict[str, Any]:
    """Contrast does nothing."""
    return answering(question, policy, "off")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(answering)
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: stand_in)
    monkeypatch.setattr(calibrate_fits, "judged_again", lambda engine, *_: engine)
    monkeypatch.setattr(bias, "unjudged", as_it_is)
    return stand_in


@pytest.fixture
def data(tmp_path: Path) -> str:
    return mossbench(tmp_path / "set", pairs=PAIRS)


def steering(data: str, *more: str) -> list[str]:
    return ["calibrate", "mossbench", "--data", data, "--fit", "steering", *more]


def test_contrast_that_helps_is_written_with_what_was_measured(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy.yaml"
    assert main([*steering(data, "--json"), "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["contrast"]["kept"]
    assert report["contrast"]["over_bias"]["interval"][0] > 0
    assert report["changes"]["contrast"]["counterfactual"] == "grey"
    assert "thresholds" not in report
    assert "judge" not in report
    assert report["promises"] == {}
    written, baseline = load_policy(out), load_policy("baseline")
    assert (written.contrast.counterfactual, written.contrast.alpha) == ("grey", 1.0)
    assert written.rules == baseline.rules
    assert "# note: contrast stays: on the held-out part default grey alpha 1" in out.read_text()


def test_contrast_that_does_not_help_is_written_off(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine._says = by_chance
    out = tmp_path / "policy.yaml"
    assert main([*steering(data, "--json"), "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["changes"] == {"contrast": {"when": "never"}}
    assert load_policy(out).contrast.when == "never"
    assert "contrast is switched off" in out.read_text()


def test_kept_answers_need_no_model_and_report_the_same(
    engine: StandIn,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = ["--output", str(tmp_path / "v.jsonl"), "--answers", str(tmp_path / "a.jsonl")]
    arguments = steering(data, "--json", *kept)

    def interrupted(*asked: Any) -> dict[str, Any]:
        if len(engine.asked) > 1000:
            raise KeyboardInterrupt
        return answering(*asked)

    engine._says = interrupted
    assert main(arguments) == 130
    capsys.readouterr()
    engine._says = answering
    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    whole = steering(data, "--json")
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: engine)
    assert main(whole) == 0
    again = json.loads(capsys.readouterr().out)
    assert {**again, "command": ""} == {**first, "command": ""}


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_show_every_arm(
    width: int,
    engine: StandIn,
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(steering(data)) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for part in ("none", "bias 0.5", "default noise 0.1 alpha 1", "paper mean alpha 0.3",
                 "16 fixed", "as it is", "0.0 / 0.0", "contrast stays"):  # fmt: skip
        assert part in " ".join(out.split())


def test_steering_is_fitted_after_the_thresholds_and_only_on_demand(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["--target", "wrong_refusals <= 0.2", "--json"]
    base = ["calibrate", "mossbench", "--data", data, *target]
    assert main(base) == 0
    report = json.loads(capsys.readouterr().out)
    assert "contrast" not in report
    assert len(engine.asked) == 2 * PAIRS
    assert main([*base, "--fit", "steering, thresholds", "--repeat", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"thresholds", "contrast", "modulation", "promise"} <= report.keys()
    assert "judge" not in report


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fit", "stearing"], "fit is 'stearing' (did you mean steering?)"),
        (["--fit", ","], "expected any of judge-contrast, judge, thresholds, steering"),
        (["--fit", "steering", "--target", "wrong_answers <= 0.1"], "--fit has no thresholds"),
        (["--fit", "judge", "--repeat", "3"], "repeat is 3"),
        (["--fit", "steering", "--answers", "{there}"], "give another --answers"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    arguments: list[str],
    said: str,
    engine: StandIn,
    data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = tmp_path / "there.jsonl"
    there.write_text('{"mine": true}\n')
    given = [each.format(there=there) for each in arguments]
    assert main(["calibrate", "mossbench", "--data", data, *given]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert engine.asked == []
    assert there.read_text() == '{"mine": true}\n'
