"""Which policy is for which request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrail.cli.policy import app
from guardrail.errors import PolicyError
from guardrail.policy import PolicyFile, When, load_policy
from guardrail.policy.cases import run_cases
from guardrail.policy.json_schema import selection_schema
from guardrail.policy.loader import LoadedSelection, load_any
from guardrail.policy.strictness import strictest

RULES = """version: 1
name: acme
select:
  - when: {tenant: kids-app}
    policy: kids
  - when: {route: /clinic/*, language: [de, pt]}
    policy: medical
  - when: {group: [staff, testers]}
    policy: permissive
  - when: {labels: {device: kiosk}}
    policy: strict
  - policy: baseline
"""


@pytest.fixture
def selection(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (None, "baseline"),
        ({}, "baseline"),
        ({"tenant": "kids-app"}, "kids"),
        ({"tenant": "kids-app", "group": "staff"}, "kids"),
        ({"tenant": "Kids-App"}, "baseline"),
        ({"route": "/clinic/ask", "language": "de"}, "medical"),
        ({"route": "/clinic/ask", "language": "pt-BR"}, "medical"),
        ({"route": "/clinic/ask", "language": "pt_BR"}, "medical"),
        ({"route": "/clinic/ask", "language": "ptx"}, "baseline"),
        ({"route": "/clinic/ask"}, "baseline"),
        ({"route": "/clinics", "language": "de"}, "baseline"),
        ({"group": ["guests", "testers"]}, "permissive"),
        ({"device": "kiosk"}, "strict"),
        ({"group": []}, "baseline"),
        ({"group": ("guests", "staff")}, "permissive"),
        ({"group": {"staff"}, "unasked": [[1]]}, "permissive"),
        ({"group": [5, "staff"]}, "permissive"),
        ({"device": ["phone", "kiosk"]}, "strict"),
        ({"tenant": "", "device": "phone"}, "baseline"),
        ({"tenant": "kids-app", "group": 5}, "kids"),
        ({"route": "/elsewhere", "language": 5}, "baseline"),
    ],
)
def test_the_first_rule_whose_every_condition_holds_wins(
    selection: Path, metadata: dict[str, Any] | None, name: str
) -> None:
    loaded = load_any(selection)
    assert isinstance(loaded, LoadedSelection)
    assert loaded.choose(metadata).name == name
    assert PolicyFile(selection).current(metadata).name == name


def test_patterns_take_nothing_but_stars_for_special() -> None:
    when = When.model_validate({"route": "/a.b/[x]*"})
    assert when.holds({"route": "/a.b/[x]\nyz"})
    assert not when.holds({"route": "/aXb/x"})


def test_many_stars_cost_no_more_than_a_few() -> None:
    when = When.model_validate({"route": "*" * 500 + "a"})
    assert not when.holds({"route": "b" * 5000})


UNMATCHED = [
    {"tenant": ["kids-app"]},
    {"tenant": ["vip"]},
    {"tenant": ("kids-app",)},
    {"tenant": {"kids-app"}},
    {"tenant": {"id": "kids-app"}},
    {"tenant": 5},
    {"tenant": 5.0},
    {"tenant": True},
    {"tenant": None},
    {"tenant": b"kids-app"},
    {"tenant": object()},
    {"tenant": 5, "group": "staff"},
    {"group": 5},
    {"group": [["staff"]]},
    {"group": ["guests", 5]},
    {"group": ["guests", None]},
    {"group": {"staff": True}},
    {"group": (each for each in ["staff"])},
    {"route": "/clinic/ask", "language": ["de"]},
    {"route": ["/clinic/ask"], "language": "de"},
    {"device": 7},
    {"device": [b"kiosk"]},
    ["kids-app"],
    "kids-app",
    [],
    0,
]


@pytest.mark.parametrize("metadata", UNMATCHED, ids=[str(at) for at in range(len(UNMATCHED))])
def test_what_cannot_be_compared_is_an_error_by_default(selection: Path, metadata: Any) -> None:
    for choose in (load_any(selection).choose, PolicyFile(selection).current):
        with pytest.raises(PolicyError, match=r"'acme' cannot choose a policy: .*accepted is"):
            choose(metadata)


@pytest.mark.parametrize("metadata", UNMATCHED, ids=[str(at) for at in range(len(UNMATCHED))])
def test_what_cannot_be_compared_gets_the_strictest_policy(selection: Path, metadata: Any) -> None:
    selection.write_text(f"{RULES}on_unmatched: strictest\n", encoding="utf-8")
    loaded = load_any(selection)
    assert isinstance(loaded, LoadedSelection)
    assert loaded.choose(metadata) is loaded.selection.strictest
    assert loaded.choose(metadata).name in ("strict", "kids")


def test_metadata_that_no_rule_asks_for_is_nobodys_business(selection: Path) -> None:
    given = {"langgraph_step": 3, "tags": [1, None], "user": {"id": 5}}
    assert load_any(selection).choose(given).name == "baseline"


def test_a_label_does_not_stand_for_a_key_of_its_name() -> None:
    when = When.model_validate({"tenant": "a", "labels": {"tenant": "*"}})
    assert when.holds({"tenant": "a"})
    assert not when.holds({"tenant": "b"})
    with pytest.raises(PolicyError, match="'tenant' is 5: accepted is text"):
        when.holds({"tenant": 5})


def test_a_request_fails_that_no_policy_can_be_chosen_for(selection: Path) -> None:
    from guardrail.judging.guard import Guard
    from guardrail.request.conversation import question

    guard = Guard(policy=selection, judge=lambda request: 0.01)
    assert guard.decide(question("1"), metadata={"tenant": "vip"}).decision.action == "comply"
    with pytest.raises(PolicyError, match=r"\['vip'\]"):
        guard.decide(question("2"), metadata={"tenant": ["vip"]})


def test_on_unmatched_takes_two_words(selection: Path) -> None:
    selection.write_text(f"{RULES}on_unmatched: mildest\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="on_unmatched"):
        load_any(selection)


BASE = """version: 1
name: {name}
mode: {mode}
verdict:
  {{unsafe_at: {unsafe_at}, safe_below: {safe_below}, on_unsafe: {action}, on_error: {error}}}
categories: [{categories}]
"""
HARM = "{id: harm, question: Is it harmful?}"
MORE = HARM + ", {id: fire, question: Is it a fire?}"


@pytest.mark.parametrize(
    ("mild", "strict"),
    [
        ({"mode": "shadow", "action": "block"}, {}),
        ({"mode": "off", "action": "block"}, {"mode": "shadow"}),
        ({}, {"action": "block"}),
        ({}, {"action": "escalate"}),
        ({"action": "escalate"}, {"action": "block"}),
        ({}, {"unsafe_at": 0.5}),
        ({}, {"safe_below": 0.2}),
        ({"error": "refuse"}, {}),
        ({}, {"categories": MORE}),
    ],
)
def test_the_strictest_policy_is_told_by_its_actions(
    tmp_path: Path, mild: dict[str, Any], strict: dict[str, Any]
) -> None:
    usual = {
        "mode": "enforce", "unsafe_at": 0.6, "safe_below": 0.4, "action": "refuse",
        "error": "block", "categories": HARM,
    }  # fmt: skip
    found = []
    for name, changes in (("mild", mild), ("strict", strict)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(BASE.format(**{**usual, **changes, "name": name}), encoding="utf-8")
        found.append(load_policy(path))
    assert strictest(found).name == strictest(found[::-1]).name == "strict"
    assert strictest([found[0], found[0].model_copy(update={"name": "twin"})]) is found[0]


def test_a_selection_is_no_policy(selection: Path) -> None:
    with pytest.raises(PolicyError, match="a selection of policies"):
        load_policy(selection)


def test_the_schema_names_both_words() -> None:
    found = selection_schema()["properties"]["on_unmatched"]
    assert found["enum"] == ["error", "strictest"]
    assert found["default"] == "error"


@pytest.mark.parametrize("word", ["error", "strictest"])
def test_check_says_what_becomes_of_unmatched_metadata(
    selection: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    selection.write_text(f"{RULES}on_unmatched: {word}\n", encoding="utf-8")
    loaded = load_any(selection)
    assert isinstance(loaded, LoadedSelection)
    named = loaded.selection.strictest.name
    done = CliRunner().invoke(app, ["check", str(selection)])
    assert done.exit_code == 0
    outcome = "an error" if word == "error" else f"policy {named}, the strictest"
    assert f"unmatched metadata: {outcome}" in done.output
    plain = json.loads(CliRunner().invoke(app, ["check", str(selection), "--json"]).output)
    assert plain["selection"] == {
        "name": "acme",
        "on_unmatched": word,
        "strictest": None if word == "error" else named,
    }


def test_a_case_whose_metadata_cannot_be_compared_is_named_with_its_place(
    selection: Path,
) -> None:
    cases = selection.with_name("acme.cases.yaml")
    cases.write_text(
        "cases:\n  - {name: odd, error: gone, metadata: {tenant: 5}, expect: block}\n",
        encoding="utf-8",
    )
    with pytest.raises(PolicyError, match=r"acme\.cases\.yaml:2:\d+: .*'tenant' is 5"):
        run_cases(cases)
