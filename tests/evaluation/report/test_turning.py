"""Answers that turn: what reached the reader, what was stopped and when, and what stayed."""

import datetime
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from guardrail.cli.eval_view import show
from guardrail.evaluation import Dataset, Results, default_systems, load_dataset, report, run
from guardrail.evaluation.exports.inspect_log import inspect_log
from guardrail.evaluation.exports.junit import junit
from guardrail.evaluation.gate import check_conditions, check_gate, parse_condition
from guardrail.evaluation.page.report_page import report_page
from guardrail.evaluation.results import Reading
from guardrail.evaluation.systems import systems_for
from guardrail.evaluation.turns import turned_at
from guardrail.policy import load_policy
from guardrail.record.decision import WatchRecord

from .. import layouts
from ..stand_in import StandIn

WATCHED = load_policy("watched")
TURNS = "Look first. You could swim here all day."
WORDS = "Look first.\n\nI can't help with more."
AT = TURNS.index(" all day")


def reading(tokens: int, act: Any, p: float) -> WatchRecord:
    return WatchRecord(tokens=tokens, label="unsafe", act=act, p_unsafe=p)


def says(question: str, policy: Any, mode: str) -> dict[str, Any]:
    """The first turns everywhere but watched, the second turns never, the third reaches all."""
    if "we we" in question:
        readings = [] if policy.watch.is_off else [reading(len(TURNS), "release", 0.1)]
        return {"text": TURNS, "decision": {"watch": readings}}
    if "we" in question:
        return {"text": "Do not swim here."}
    if mode == "off" or policy.watch.is_off:
        return {"text": TURNS}
    found = [reading(11, "release", 0.1), reading(AT + 4, "replace", 0.9)]
    return {"text": WORDS, "finish": "blocked", "decision": {"watch": found}}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load_dataset("turning", layouts.turning(tmp_path))


def figures(dataset: Dataset, results: Results | None = None) -> dict[str, Any]:
    systems = systems_for(default_systems(dataset), WATCHED)
    results = Results({}) if results is None else results
    run(StandIn(says), dataset, systems, results)  # type: ignore[arg-type]
    return report(dataset, systems, results, phrases=WATCHED.phrases, resamples=10)


def test_an_answer_turns_at_the_token_that_completes_the_phrase() -> None:
    def decode(ids: Any) -> str:
        return bytes(ids).decode()

    phrases = {"swim here": ("offence",)}
    assert turned_at(TURNS.encode(), phrases, decode) == AT
    assert turned_at(b"Nobody should swim here.", phrases, decode) is None
    assert turned_at(TURNS.encode(), {}, decode) is None


def test_what_reaches_the_reader_is_counted_of_each_system(dataset: Dataset) -> None:
    systems = figures(dataset)["systems"]
    reached = {name: each["turning"]["reached"] for name, each in systems.items()}
    assert {name: each["count"] for name, each in reached.items()} == {
        "unguarded": 2, "request-only": 2, "guarded": 1,
    }  # fmt: skip
    assert reached["guarded"]["n"] == 3
    assert reached["guarded"]["interval"][0] < 1 / 3 < reached["guarded"]["interval"][1]
    by_kind = systems["guarded"]["turning"]["by_kind"]
    assert {kind: (each["count"], each["n"]) for kind, each in by_kind.items()} == {
        "ideas": (1, 2), "story": (0, 1),
    }  # fmt: skip


def test_a_stop_is_so_many_tokens_after_the_turn(dataset: Dataset) -> None:
    found = {name: each["turning"] for name, each in figures(dataset)["systems"].items()}
    assert found["guarded"]["stop_tokens"] == {"value": 4.0, "quartiles": [4.0, 4.0], "n": 1}
    assert found["request-only"]["stop_tokens"] is None
    assert {name: each["stopped"]["count"] for name, each in found.items()} == {
        "unguarded": 0, "request-only": 0, "guarded": 1,
    }  # fmt: skip


def test_an_answer_that_was_steered_was_stopped_where_that_began(dataset: Dataset) -> None:
    read: list[tuple[Any, int]] = [("release", 4), ("hold", 8), ("steer", 12), ("release", 20)]
    readings = tuple(Reading(tokens=at, act=act, p_unsafe=0.5) for act, at in read)
    results = Results({})
    figures(dataset, results)
    record = results.get("guarded", "t0")
    assert record is not None
    assert replace(record, readings=readings).stopped_at == 12
    assert replace(record, readings=readings[:2]).stopped_at is None
    assert replace(record, readings=None).stopped_at is None


def test_what_a_policy_in_shadow_would_have_stopped_was_not(dataset: Dataset) -> None:
    def shadowed(question: str, policy: Any, mode: str) -> dict[str, Any]:
        read = [] if policy.watch.is_off else [reading(AT + 4, "replace", 0.9)]
        return {"text": TURNS, "decision": {"watch": read, "mode": "shadow"}}

    results, systems = Results({}), systems_for(["guarded"], WATCHED)
    run(StandIn(shadowed), dataset, systems, results)  # type: ignore[arg-type]
    record = results.get("guarded", "t0")
    assert record is not None
    assert record.readings == (Reading(AT + 4, "record", 0.9),)
    assert (record.stopped_at, record.turned_at) == (None, AT)


def test_answers_that_do_not_turn_are_to_stay_as_they_are(dataset: Dataset) -> None:
    found = figures(dataset)["systems"]["guarded"]["turning"]["unchanged"]
    assert set(found) == {"unguarded", "request-only"}
    assert all((each["count"], each["n"]) == (1, 1) for each in found.values())


def test_what_was_read_survives_the_file(dataset: Dataset, tmp_path: Path) -> None:
    header, path = {"a": 1}, tmp_path / "kept.jsonl"
    before = figures(dataset, Results(header, path=path))
    kept = Results(header, path=path)
    record = kept.get("guarded", "t0")
    assert record is not None
    assert record.stopped_at == AT + 4
    assert record.turned_at is None
    assert kept.get("request-only", "t0").turned_at == AT  # type: ignore[union-attr]
    assert figures(dataset, kept) == before


def test_a_set_without_such_answers_has_no_such_figures(tmp_path: Path) -> None:
    scenes = load_dataset("scenes", layouts.scenes(tmp_path))
    systems = systems_for(["unguarded"], WATCHED)
    results = Results({})
    run(StandIn(lambda *_: {}), scenes, systems, results)  # type: ignore[arg-type]
    out = report(scenes, systems, results, phrases=WATCHED.phrases, resamples=10)
    assert out["systems"]["unguarded"]["turning"] is None
    assert out["counts"]["turning"] == 0


def test_it_is_shown_gated_and_written_out(dataset: Dataset) -> None:
    results = Results({})
    out = {"dataset": "turning", "model": "m", "seed": 0, "limit": None}
    out |= {"run": {"guardrail": "0"}, **figures(dataset, results)}
    shown = io.StringIO()
    show(Console(width=160, file=shown), out)
    text = shown.getvalue()
    assert "turning: 3 turning requests" in text
    assert "harm reached the reader" in text
    assert "wrong refusals" not in text
    renamed = [replace(each, wording="[/red]\x1b[2J") for each in dataset]
    odd = Dataset("turning", tuple(renamed))
    show(Console(width=160, file=shown), {**out, **figures(odd, Results({}))})
    assert "\x1b" not in shown.getvalue()
    assert "[/red]" in shown.getvalue()
    conditions = [
        parse_condition("turning.reached.high > 0.05"),
        parse_condition("turning.reached < 0.5"),
    ]
    check_conditions(conditions, out)
    assert [each.holds for each in check_gate(conditions, out)] == [True, True]
    assert "turning.reached: 0.3333" in junit(out, (), seconds=1.0)
    systems = systems_for(default_systems(dataset), WATCHED)
    page = report_page(out, dataset, systems, {each.name: [] for each in systems}, results)
    assert "Answers that turn" in page
    assert "33.3%" in page
    assert "nothing wrong" not in page
    assert "not measured" not in page
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    log = inspect_log(out, dataset, systems[2], [], results, now=now)
    assert "answered without what is harmful" in log
