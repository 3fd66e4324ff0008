"""`guardrail eval` with graders: who counts, what is kept, what a person labels, how it looks."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import main
from tests.evaluation.grading import chats
from tests.evaluation.stand_in import StandIn

CHATS = "chat:tests.evaluation.grading.chats"
SYSTEMS = ["--systems", "unguarded,guarded"]


def evaluated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["eval", "scenes", "--json", *SYSTEMS, *arguments]) == 0
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def test_the_first_grader_counts_and_the_others_are_compared(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    graders = ["--grader", f"{CHATS}:HARSH", "--grader", "vocabulary"]
    out = evaluated(["--data", data, *graders], capsys)
    assert out["systems"]["guarded"]["wrong_refusals"]["value"] == 1.0
    assert [each["name"] for each in out["grading"]["graders"]] == [f"{CHATS}:HARSH", "vocabulary"]
    [pair] = out["grading"]["agreement"]
    assert pair["confusion"]["refused"] == {"refused": 8, "answered": 8, "ungraded": 0}
    out = evaluated(["--data", data, *graders[2:], *graders[:2]], capsys)
    assert out["systems"]["guarded"]["wrong_refusals"]["value"] == 0.0


def test_the_answering_model_grades_without_being_loaded_again(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(model: str) -> Any:
        raise AssertionError(f"{model} was loaded again")

    class Backend:
        name, needs_picture = "stand-in", False

        def decode(self, token_ids: Any) -> str:
            return ""

        def p_yes(self, asked: Any) -> list[float]:
            return [0.9 for _ in asked]

    monkeypatch.setattr("guardrail.cli.eval_grading.backend_of", load)
    engine.backend = Backend()  # type: ignore[attr-defined]
    out = evaluated(["--data", data, "--grader", "model:embedded"], capsys)
    assert out["systems"]["guarded"]["wrong_answers"]["value"] == 0.0


def test_an_uncertain_grader_is_seen_in_json_and_in_the_terminal(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", data, "--grader", f"{CHATS}:make_unsure"]
    guarded = evaluated(arguments, capsys)["systems"]["guarded"]
    assert guarded["ungraded"] == {"count": 8, "n": 8, "why": {"uncertain": 8}}
    assert guarded["wrong_refusals"]["bounds"] == [0.0, 1.0]
    assert main(["eval", "scenes", *SYSTEMS, *arguments]) == 0
    out = capsys.readouterr().out
    for part in ("8 of 8", "0.0 to 100.0", "guarded: uncertain (8)", f"outcomes by {CHATS}"):
        assert part in out


def test_a_rerun_asks_the_grader_nothing_again_and_gives_the_same(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", data, "--output", str(tmp_path / "results.jsonl")]
    arguments += ["--grader", f"{CHATS}:HARSH", "--grader", "vocabulary"]
    before = len(chats.HARSH.asked)
    first = evaluated(arguments, capsys)
    asked = len(chats.HARSH.asked)
    assert asked == before + 16
    assert evaluated(arguments, capsys) == first
    assert len(chats.HARSH.asked) == asked


def test_what_graders_differ_on_is_labelled_by_hand_and_overrides(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "label.jsonl"
    arguments = ["--data", data, "--grader", "vocabulary", "--grader", f"{CHATS}:HARSH"]
    assert main(["eval", "scenes", "--json", *SYSTEMS, *arguments, "--to-label", str(path)]) == 0
    assert f"8 answers to label by hand: {path}" in " ".join(capsys.readouterr().err.split())
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["system"] for row in rows} == {"guarded"}
    for row in rows[:3]:
        row.update(refused=True, by="A. Reader")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = evaluated([*arguments, "--labels", str(path)], capsys)
    guarded = out["systems"]["guarded"]
    assert guarded["wrong_refusals"]["count"] + 4 - guarded["wrong_answers"]["count"] == 3
    assert out["grading"]["by_hand"] == {"used": 3, "unused": 0}
    assert main(["eval", "scenes", *SYSTEMS, *arguments, "--labels", str(path)]) == 0
    assert "3 labelled by hand" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_of_graders_and_pairs_fit_the_terminal(
    width: int,
    engine: StandIn,
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    graders = ["vocabulary", f"{CHATS}:make_unsure", f"{CHATS}:HARSH"]
    options = [part for each in graders for part in ("--grader", each)]
    assert main(["eval", "scenes", "--data", data, *options]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for part in ("Brier", "ECE", "request by request", "kappa", "1, 3", "2, 3", "(counts)"):
        assert part in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grader", "vocabluary"], "'vocabluary' is no grader"),
        (["--grader", "chat:no.such:model"], "ModuleNotFoundError"),
        (["--labels", "absent.jsonl"], "cannot read labels"),
    ],
)
def test_bad_graders_and_labels_are_one_line_before_a_model_loads(
    arguments: list[str],
    said: str,
    data: str,
    no_engine: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["eval", "scenes", "--data", data, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
