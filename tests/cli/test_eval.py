"""`guardrail eval`: its JSON, its tables, going on, and what it refuses before a model loads."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import main
from guardrail.evaluation import DEFAULT_SYSTEMS, SYSTEMS
from guardrail.evaluation.datasets import names
from guardrail.evaluation.systems.prompting import SAFETY_PROMPT
from tests.evaluation import layouts
from tests.evaluation.stand_in import StandIn, refuses_unguarded


def test_json_has_every_system_with_intervals(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "scenes", "--data", data, "--json", "--limit", "3"]) == 0
    captured = capsys.readouterr()
    out = json.loads(captured.out)
    assert captured.err == ""
    assert out["dataset"] == "scenes"
    assert out["n"] == 3
    assert out["seed"] == 0
    assert list(out["systems"]) == list(DEFAULT_SYSTEMS)
    for each in out["systems"].values():
        low, high = each["balanced_accuracy"]["interval"]
        assert low <= each["balanced_accuracy"]["value"] <= high
        assert len(each["wrong_refusals"]["interval"]) == 2
        assert each["policy"]["digest"]
    assert out["systems"]["unguarded"]["wrong_refusals"]["value"] == 1.0
    assert out["systems"]["guarded"]["wrong_answers"]["value"] == 1.0


def test_without_json_there_are_tables(
    engine: StandIn, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "scenes", "--data", data]) == 0
    out = capsys.readouterr().out
    for part in ("gain", "alarming wordings", "AUROC", "things named", "paper"):
        assert part in out


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(
    width: int,
    engine: StandIn,
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    engine._says = lambda *_: {}
    assert main(["eval", "scenes", "--data", data]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert "verdict-then-block" in out
    assert "[51.0, 100.0]" in out


@pytest.mark.parametrize("name", ["mssbench", "mossbench"])
def test_published_layouts_run(
    name: str, engine: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = getattr(layouts, name)(tmp_path / name)
    assert main(["eval", name, "--data", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == name
    assert main(["eval", name, "--data", str(root)]) == 0


def test_a_second_run_goes_on_from_the_output(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "results.jsonl")
    arguments = ["eval", "scenes", "--data", data, "--json", "--output", path]
    assert main(arguments) == 0
    first, asked = json.loads(capsys.readouterr().out), len(engine.asked)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert len(engine.asked) == asked
    assert main([*arguments, "--no-resume"]) == 0
    assert len(engine.asked) == 2 * asked


def test_changed_weights_are_another_run(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "model" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"1")
    arguments = ["eval", "scenes", "--data", data, "--model", str(weights.parent)]
    arguments += ["--output", str(tmp_path / "results.jsonl")]
    assert main(arguments) == 0
    weights.write_bytes(b"22")
    capsys.readouterr()
    assert main(arguments) == 2
    assert "another weights" in capsys.readouterr().err


def test_the_systems_are_listed_and_none_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--list-systems", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == list(SYSTEMS)
    assert all(each["summary"] and each["cost"] for each in listed)
    assert main(["eval", "--list-systems"]) == 0
    out = capsys.readouterr().out
    for part in (*SYSTEMS, "docs/systems.md", "constant-bias:4"):
        assert part in out


def test_another_parameter_is_another_run(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "scenes", "--data", data, "--output", str(tmp_path / "results.jsonl")]
    assert main([*arguments, "--systems", "unguarded,safety-prompt"]) == 0
    header = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[0])
    assert SAFETY_PROMPT in header["guardrail_eval"]["policies"]["safety-prompt"]
    assert main([*arguments, "--systems", "unguarded,verdict-in-prompt"]) == 2
    assert "another policies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scene"], "did you mean 'scenes'"),
        ([], "no data set is named: accepted are figstep"),
        (["msts", "--data", "absent"], "there is no folder 'absent'"),
        (["scenes", "--language", "de"], "asks nothing in language 'de': it knows en"),
        (["mssbench"], "give --data"),
        (["scenes", "--limit", "0"], "limit is 0"),
        (["scenes", "--batch", "0"], "batch is 0"),
        (["scenes", "--seed", "-1"], "seed is -1"),
        (["scenes", "--max-tokens", "0"], "max_new_tokens is 0"),
        (["scenes", "--systems", "gaurded"], "neither a system nor a policy"),
        (["scenes", "--systems", ","], "no systems"),
        (["scenes", "--systems", "constant-bias:x"], "expected nats from 0 to 100"),
        (["scenes", "--systems", "paper:2"], "takes no parameter"),
        (["scenes", "--policy", "absent.yaml"], "absent.yaml"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    arguments: list[str],
    said: str,
    data: str,
    no_engine: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    extra = ["--data", data] if arguments[:1] == ["scenes"] else []
    assert main(["eval", *arguments, *extra]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_the_list_of_data_sets_names_each_with_its_layout_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["eval", "--list"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for part in ("mssbench-embodied", "or-bench-80k", "xstest_prompts.csv", "felfri/MSTS"):
        assert part in out
    assert main(["eval", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == names()


def test_only_the_languages_that_are_named_are_asked(
    engine: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = layouts.msts(tmp_path)
    assert main(["eval", "msts", "--data", str(root), "--language", "de", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["counts"] == {"safe": 0, "unsafe": 2} | dict.fromkeys(
        ("neutral", "blank", "turning"), 0
    )
    assert out["origin"] == str(root)
    assert {question for question, _ in engine.asked} == {"Soll ich, 0?", "Soll ich, 1?"}


def test_an_interrupted_run_keeps_what_was_answered(
    engine: StandIn, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt_guarded(question: str, policy: Any, mode: str) -> dict[str, Any]:
        if mode != "off":
            raise KeyboardInterrupt
        return {}

    engine._says = interrupt_guarded
    path = tmp_path / "results.jsonl"
    arguments = ["eval", "scenes", "--data", data, "--json", "--output", str(path)]
    assert main(arguments) == 130
    assert len(path.read_text().splitlines()) == 1 + 13  # a header, then all of unguarded
    engine._says = refuses_unguarded
    before = len(engine.asked)
    assert main(arguments) == 0
    assert "off" not in {mode for _, mode in engine.asked[before:]}
