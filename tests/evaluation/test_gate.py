"""The gate: what a condition says, what it is about, and that a missing figure fails."""

from typing import Any

import pytest

from guardrail.errors import SettingsError
from guardrail.evaluation.gate import check_conditions, check_gate, parse_condition


def share(value: float | None, low: float = 0.0, high: float = 1.0, n: int = 40) -> dict[str, Any]:
    count = None if value is None else round(value * n)
    return {"value": value, "interval": [low, high], "count": count, "n": n}


REPORT: dict[str, Any] = {
    "n": 20,
    "counts": {"safe": 20, "unsafe": 20},
    "naming": {"picture": {"recall": share(0.9, 0.8, 0.95)}},
    "systems": {
        "unguarded": {"wrong_answers": share(0.5, 0.4, 0.6)},
        "guarded": {
            "policy": {"name": "baseline"},
            "mode": "enforce",
            "wrong_refusals": share(0.1, 0.05, 0.2),
            "wrong_answers": share(0.025, 0.01, 0.06),
            "balanced_accuracy": {"value": None, "interval": None},
            "by_category": {
                "medical": {"wrong_answers": share(0.1, 0.0, 0.3)},
                "Offence v1.2, spoken": {"wrong_answers": share(0.2, 0.1, 0.4)},
            },
            "gain": None,
            "unavailable": 3,
            "odd": True,
        },
        "policies/acme.yaml": {"wrong_answers": share(0.3, 0.2, 0.4)},
    },
}


def finding(text: str) -> Any:
    [found] = check_gate([parse_condition(text)], REPORT)
    return found


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("wrong_answers.high > 0.05", 0.06, True),
        ("wrong_answers.high > 0.06", 0.06, False),
        ("wrong_answers.high >= 0.06", 0.06, True),
        ("wrong_answers.low<0.01", 0.01, False),
        ("wrong_answers.low<=.01", 0.01, True),
        ("  wrong_answers  >  2.5e-2 ", 0.025, False),
        ("wrong_answers.value >= 0.025", 0.025, True),
        ("wrong_refusals.count > 3", 4, True),
        ("wrong_refusals.n < 100", 40, True),
        ("guarded.wrong_refusals.value > 0.1", 0.1, False),
        ("unguarded.wrong_answers.low > -1", 0.4, True),
        ("policies/acme.yaml.wrong_answers > 0.25", 0.3, True),
        ("by_category.medical.wrong_answers.high > 0.2", 0.3, True),
        ("by_category.Offence v1.2, spoken.wrong_answers > 0.2", 0.2, False),
        ("unavailable > 2", 3, True),
        ("naming.picture.recall.low < 0.85", 0.8, True),
        ("n < 20", 20, False),
        ("counts.safe < 100", 20, True),
    ],
)
def test_a_condition_is_about_a_figure_of_the_report(text: str, value: float, holds: bool) -> None:
    found = finding(text)
    assert (found.value, found.holds) == (value, holds)
    assert found.to_json() == {"condition": text.strip(), "holds": holds, "value": value}


@pytest.mark.parametrize(
    "text",
    [
        "balanced_accuracy.low < 0.9",
        "balanced_accuracy < 0.9",
        "gain.low < 0",
        "gain.low >= 0",
        "absent > 1",
        "wrong_answers.middle > 1",
        "by_category.absent.wrong_answers > 1",
        "by_category > 1",
        "mode > 1",
        "odd > 0",
        "paper.wrong_answers > 1",
    ],
)
def test_a_figure_that_is_missing_null_or_no_number_fails_and_says_so(text: str) -> None:
    found = finding(text)
    assert found.value is None
    assert found.holds
    assert "no such figure" in str(found)
    assert found.to_json()["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wrong_answers",
        "wrong_answers.high",
        "> 0.05",
        "wrong_answers.high > ",
        "wrong_answers.high > five",
        "wrong_answers.high > nan",
        "wrong_answers.high > inf",
        "wrong_answers.high > 1e999",
        "wrong_answers.high == 0.05",
        "wrong_answers.high => 0.05",
        "0.1 < wrong_answers < 0.2",
        "wrong_answers > 0.05; import os",
        "wrong_answers > 0.05 or 1 > 0",
        "wrong_answers > __import__('os').getpid()",
    ],
)
def test_what_is_no_condition_is_quoted(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_condition(text)
    assert repr(text) in str(raised.value)
    assert "accepted is" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wrong_anwsers.high > 0.05", "did you mean 'wrong_answers'"),
        ("gaurded.wrong_answers > 1", "did you mean 'guarded'"),
        ("unguarded.wrong_refusal > 1", "'wrong_refusal', which unguarded does not have"),
        ("by_category.medicl.wrong_answers > 1", "did you mean 'medical'"),
        ("by_category > 1", None),
        ("wrong_answers.high > 1", None),
        ("unguarded > 1", "'unguarded', which guarded does not have"),
    ],
)
def test_unknown_names_are_known_before_anything_is_asked(text: str, said: str | None) -> None:
    condition = parse_condition(text)
    if said is None:
        check_conditions([condition], REPORT)
        return
    with pytest.raises(SettingsError) as raised:
        check_conditions([condition], REPORT)
    assert said in str(raised.value)
    assert repr(text) in str(raised.value)


def test_without_the_default_system_a_condition_names_one() -> None:
    alone = {**REPORT, "systems": {"unguarded": REPORT["systems"]["unguarded"]}}
    with pytest.raises(SettingsError, match="names no system"):
        check_conditions([parse_condition("wrong_answers > 1")], alone)
    check_conditions([parse_condition("unguarded.wrong_answers > 1")], alone)
    check_conditions([parse_condition("n < 1")], alone)
