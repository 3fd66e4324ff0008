"""Logs for Inspect AI: their form, what a sample says, and reading them back with the library."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from guardrail.evaluation.exports.inspect_log import inspect_log, log_name

from ..evaluated import REFUSAL, Small, small

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

TEXT = {"type": "string"}
MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["user", "assistant"]},
        "content": {
            "anyOf": [
                TEXT,
                {
                    "type": "array",
                    "items": {
                        "oneOf": [
                            {
                                "required": ["type", "text"],
                                "properties": {"type": {"const": "text"}, "text": TEXT},
                            },
                            {
                                "required": ["type", "image"],
                                "properties": {
                                    "type": {"const": "image"},
                                    "image": {"pattern": "^data:image/jpeg;base64,"},
                                },
                            },
                        ]
                    },
                },
            ]
        },
    },
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["version", "status", "eval", "plan", "results", "stats", "samples"],
    "properties": {
        "version": {"const": 2},
        "status": {"const": "success"},
        "eval": {
            "required": ["created", "task", "dataset", "model", "config"],
            "properties": {
                "created": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"},
                "task": TEXT,
                "model": TEXT,
                "config": {"type": "object"},
            },
        },
        "results": {
            "required": ["total_samples", "completed_samples", "scores"],
            "properties": {
                "scores": {
                    "items": {
                        "required": ["name", "scorer", "metrics"],
                        "properties": {
                            "metrics": {
                                "additionalProperties": {
                                    "required": ["name", "value"],
                                    "properties": {"value": {"type": "number"}},
                                }
                            }
                        },
                    }
                }
            },
        },
        "samples": {
            "type": "array",
            "items": {
                "required": ["id", "epoch", "input", "target", "messages", "output", "scores"],
                "properties": {
                    "epoch": {"const": 1},
                    "input": {"type": "array", "items": MESSAGE},
                    "messages": {"type": "array", "items": MESSAGE},
                    "output": {
                        "required": ["model", "choices"],
                        "properties": {
                            "choices": {
                                "items": {
                                    "required": ["message", "stop_reason"],
                                    "properties": {
                                        "message": MESSAGE,
                                        "stop_reason": {
                                            "enum": [
                                                "stop",
                                                "max_tokens",
                                                "tool_calls",
                                                "content_filter",
                                                "unknown",
                                            ]
                                        },
                                    },
                                }
                            }
                        },
                    },
                    "scores": {
                        "additionalProperties": {
                            "required": ["value"],
                            "properties": {"value": {"enum": ["C", "I"]}},
                        }
                    },
                },
            },
        },
    },
}
"""What Inspect's `EvalLog` demands of the parts that are written."""


@pytest.fixture
def made(tmp_path: Path) -> Small:
    blocked = {"finish": "blocked", "answer": "Not here.", "tokens": ()}
    return small(
        tmp_path,
        wrong=frozenset({"0001/safe"}),
        changes={"0002/unsafe": blocked, "neutral/n1": {"tokens": (9,)}},
    )


def log(made: Small, name: str = "guarded") -> dict[str, Any]:
    system = next(each for each in made.systems if each.name == name)
    text = inspect_log(made.out, made.dataset, system, made.rows[name], made.results, now=NOW)
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("name", ["unguarded", "guarded", "paper"])
def test_a_log_is_of_inspects_form(made: Small, name: str) -> None:
    jsonschema.validate(log(made, name), SCHEMA)


def test_the_schema_would_find_a_log_that_is_not(made: Small) -> None:
    broken = log(made)
    broken["samples"][0]["output"]["choices"][0]["stop_reason"] = "blocked"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_every_request_is_a_sample_with_its_decision(made: Small) -> None:
    samples = {each["id"]: each for each in log(made)["samples"]}
    assert set(samples) == {each.id for each in made.dataset if each.side != "blank"}
    wrong = samples["0001/safe"]
    assert wrong["scores"]["guardrail"]["value"] == "I"
    assert wrong["scores"]["guardrail"]["answer"] == "refused"
    assert wrong["output"]["completion"] == REFUSAL
    assert wrong["metadata"]["decision"]["verdict"]["label"] == "unsafe"
    assert wrong["metadata"]["decision"]["steps"][0]["refusal_mass_after"] == 0.9
    picture, text = wrong["input"][0]["content"]
    assert picture["image"].startswith("data:image/jpeg;base64,")
    assert text["text"] == next(e.question for e in made.dataset if e.id == "0001/safe")
    assert samples["0002/unsafe"]["output"]["choices"][0]["stop_reason"] == "content_filter"
    assert samples["0002/unsafe"]["scores"]["guardrail"]["value"] == "C"


def test_neutral_answers_are_scored_against_the_unguarded_ones(made: Small) -> None:
    guarded = {each["id"]: each["scores"] for each in log(made)["samples"]}
    neutral = sorted(each.id for each in made.dataset if each.side == "neutral")
    values = {name: guarded[name]["guardrail"]["value"] for name in neutral}
    assert values.pop("neutral/n1") == "I"
    assert set(values.values()) == {"C"}
    unguarded = {each["id"]: each["scores"] for each in log(made, "unguarded")["samples"]}
    assert {str(unguarded[name]) for name in neutral} == {"{}"}


def test_figures_are_the_reports(made: Small) -> None:
    results = log(made)["results"]
    [score] = results["scores"]
    expected = made.out["systems"]["guarded"]
    for name in ("wrong_refusals", "wrong_answers", "balanced_accuracy"):
        assert score["metrics"][name]["value"] == expected[name]["value"]
    assert next(iter(score["metrics"])) == "balanced_accuracy"
    assert results["total_samples"] == score["scored_samples"]


def test_a_log_takes_as_long_as_its_answers_did(made: Small) -> None:
    stats = log(made)["stats"]
    assert stats["completed_at"] == "2026-03-04T05:06:07+00:00"
    assert stats["started_at"] == "2026-03-04T05:06:01+00:00"  # eleven answers of half a second


def test_a_log_is_the_same_again_but_for_its_time(made: Small) -> None:
    assert log(made) == log(made)


def test_file_names_are_those_that_inspect_looks_for(made: Small) -> None:
    name = log_name(made.dataset, made.systems[1], NOW)
    assert name.startswith("2026-03-04T05-06-07+00-00_scenes-guarded_")
    assert name.endswith(".json")


def test_inspect_reads_it(made: Small, tmp_path: Path) -> None:
    inspect_log_module = pytest.importorskip("inspect_ai.log")
    place = tmp_path / log_name(made.dataset, made.systems[1], NOW)
    place.write_text(json.dumps(log(made)), "utf-8")
    [listed] = inspect_log_module.list_eval_logs(str(tmp_path), recursive=False)
    found = inspect_log_module.read_eval_log(listed)
    assert found.status == "success"
    assert found.eval.task == "scenes-guarded"
    assert found.samples is not None
    sample = next(each for each in found.samples if each.id == "0001/safe")
    assert sample.scores["guardrail"].value == "I"
    assert sample.output.completion == REFUSAL
    assert sample.input[0].content[0].type == "image"
    assert sample.metadata["decision"]["action"] == "refuse"
    assert found.results.scores[0].metrics["wrong_refusals"].value == 0.25
    again = tmp_path / "again.json"
    inspect_log_module.write_eval_log(found, str(again))
    assert inspect_log_module.read_eval_log(str(again)).samples == found.samples
