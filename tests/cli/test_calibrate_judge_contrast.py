"""`guardrail calibrate --fit judge-contrast`: grey looks on demand, kept, and what is written."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import calibrate as command
from guardrail.cli import calibrate_fits, main
from guardrail.evaluation.systems import bias
from guardrail.evaluation.systems.system import as_it_is
from guardrail.policy import Policy, load_policy
from guardrail.policy.calibration import calibrate
from guardrail.record.decision import VerdictRecord
from tests.cli.test_calibrate import IDS, mossbench
from tests.evaluation.stand_in import StandIn

PAIRS = 60


class Seeing(StandIn):
    """Its words move both looks alike, its pictures the one that sees them; `blind` sees none."""

    def __init__(self, *, blind: bool = False) -> None:
        super().__init__(lambda *_: {})
        self.blind = blind
        self.grey = 0
        self.dies_after: int | None = None

    def _answer(self, conversation: Any, policy: Policy, mode: Any) -> Any:
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        text = conversation.turns[-1].text
        drawn = random.Random(text)
        words, seen, other = drawn.gauss(0, 2), drawn.gauss(0, 0.5), drawn.gauss(0, 1)
        seen += 1 if "unsafe" in text else -1
        grey = any(each.digest.startswith("grey ") for each in conversation.pictures)
        self.grey += grey
        odds = (other if self.blind else words) if grey else words * (not self.blind) + seen
        p = calibrate(0.5, scale=1.0, bias=odds)
        record = VerdictRecord(categories=dict.fromkeys(IDS, p))
        self._says = lambda *_: {"text": "Sure.", "decision": {"verdict": record}}
        return super()._answer(conversation, policy, mode)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Seeing:
    stand_in = Seeing()
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: stand_in)
    return stand_in


@pytest.fixture
def data(tmp_path: Path) -> str:
    return mossbench(tmp_path / "set", pairs=PAIRS)


def fitting(data: str, *more: str, fit: str = "judge-contrast") -> list[str]:
    return ["calibrate", "mossbench", "--data", data, "--fit", fit, "--json", *more]


def reported(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_contrast_that_helps_is_written_with_its_calibration_and_what_was_measured(
    engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy.yaml"
    assert main(fitting(data, "--out", str(out))) == 0
    report = reported(capsys)
    assert engine.grey == 2 * PAIRS
    found = report["judge-contrast"]
    assert found["kept"]
    best = found["fitted"][found["best"]]
    written = load_policy(out).judge
    assert written.contrast.counterfactual == "grey"
    assert written.contrast.alpha == best["alpha"] >= 1
    assert written.calibration is not None
    assert (written.calibration.scale, written.calibration.bias) == (best["scale"], best["bias"])
    assert set(report["changes"]) == {"judge"}
    assert set(report["changes"]["judge"]) == {"contrast", "calibration"}
    assert "# note: the judge is contrasted with grey pictures: on the held-out" in out.read_text()
    # What is measured before and after is what the two policies make of it.
    assert report["after"]["wrong_answers"]["value"] < report["before"]["wrong_answers"]["value"]


def test_contrast_that_does_not_help_is_said_to_be_left_off(
    engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.blind = True
    out = tmp_path / "policy.yaml"
    assert main(fitting(data, "--out", str(out))) == 0
    report = reported(capsys)
    assert report["changes"] == {}
    assert not load_policy(out).judge.contrast.looks
    note = "# note: contrast of the judge is left off: on the held-out part, with alpha"
    assert note in out.read_text()


def test_grey_looks_are_asked_only_where_they_count(
    engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fitting(data, fit="judge")) == 0
    assert engine.grey == 0
    contrasting = tmp_path / "contrasting.yaml"
    contrasting.write_text(
        "version: 1\nname: c\nextends: baseline\n"
        "judge: {contrast: {counterfactual: grey, alpha: 4.0}}\n"
    )
    target = ("--target", "wrong_refusals <= 0.2", "--policy", str(contrasting))
    capsys.readouterr()
    assert main(fitting(data, *target, fit="thresholds")) == 0
    assert engine.grey == 2 * PAIRS
    contrasted = reported(capsys)
    assert main(fitting(data, *target[:2], fit="thresholds")) == 0
    assert reported(capsys)["before"] != contrasted["before"]


def test_a_verdict_file_serves_with_and_without_grey_looks_and_goes_on(
    engine: Seeing,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, kept = tmp_path / "whole.jsonl", tmp_path / "kept.jsonl"
    assert main(fitting(data, "--output", str(whole))) == 0
    first = reported(capsys)
    assert main(fitting(data, "--output", str(kept), fit="judge")) == 0
    seen = len(engine.asked)
    engine.dies_after = seen + 40
    assert main(fitting(data, "--output", str(kept))) == 130
    engine.dies_after = None
    capsys.readouterr()
    kept.write_bytes(kept.read_bytes()[:-20])
    engine.grey = 0
    assert main(fitting(data, "--output", str(kept))) == 0
    assert {**reported(capsys), "command": ""} == {**first, "command": ""}
    assert engine.grey == 2 * PAIRS - 16  # of two whole batches, one lost a line
    assert kept.read_bytes() == whole.read_bytes()

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)
    assert main(fitting(data, "--output", str(kept))) == 0
    assert {**reported(capsys), "command": ""} == {**first, "command": ""}


def test_grey_looks_of_another_run_are_not_gone_on_from(
    engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "kept.jsonl")
    assert main(fitting(data, "--output", kept)) == 0
    capsys.readouterr()
    assert main(fitting(data, "--output", kept, "--batch", "8")) == 2
    assert "another batch" in capsys.readouterr().err


def test_later_parts_see_contrasted_verdicts_and_steering_hears_them(
    engine: Seeing, data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[float] = []

    def judged_again(engine: StandIn, _: Any, policy: Policy) -> StandIn:
        heard.append(policy.judge.contrast.alpha if policy.judge.contrast.looks else 0.0)
        return engine

    monkeypatch.setattr(calibrate_fits, "judged_again", judged_again)
    monkeypatch.setattr(bias, "unjudged", as_it_is)
    parts = "steering,thresholds,judge,judge-contrast"
    assert main(fitting(data, "--target", "wrong_refusals <= 0.3", fit=parts)) == 0
    report = reported(capsys)
    names = ["judge-contrast", "judge", "thresholds", "contrast", "modulation"]
    assert [each for each in report if each in names] == names
    alpha = report["changes"]["judge"]["contrast"]["alpha"]
    assert set(heard) == {alpha}
    # Thresholds lie where they let as many fitted scores through as they may: contrasted ones.
    assert report["promises"]["wrong_refusals"]["broken"] is False
    assert report["judge"]["kept"] is False


@pytest.mark.parametrize("kind", ["chat", "callable"])
def test_a_judge_that_looks_once_is_not_asked_twice(
    kind: str, engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(f"version: 1\nname: o\nextends: baseline\njudge: {{kind: {kind}}}\n")
    assert main(fitting(data, "--policy", str(other))) == 0
    report = reported(capsys)
    assert engine.grey == 0
    assert f"kind {kind} is taken at its word" in report["notes"][0]
    assert report["changes"] == {}


def test_a_locked_contrast_is_respected(
    engine: Seeing, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locking = tmp_path / "locking.yaml"
    locking.write_text("version: 1\nname: l\nextends: baseline\nlocked: [judge.contrast]\n")
    out = tmp_path / "policy.yaml"
    assert main(fitting(data, "--policy", str(locking), "--out", str(out))) == 2
    assert "is locked by" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(
    width: int,
    engine: Seeing,
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([each for each in fitting(data) if each != "--json"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    said = " ".join(out.split())
    for part in ("as it is", "scaled", "alpha 0.25", "the difference alone", "is contrasted with"):
        assert part in said
