"""The report with graders: agreement, what has no label, and labels by hand."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from guardrail.evaluation import Results, report
from guardrail.evaluation.grading import HandLabels, grade_answers
from guardrail.evaluation.grading.labels import HandLabel
from guardrail.evaluation.systems import System
from guardrail.policy import load_policy

from ..grading.work_graders import Table
from ..made import ANSWER, REFUSAL, answers, pairs, samples

BASELINE = load_policy("baseline")
SYSTEMS = [System("unguarded", BASELINE, "off"), System("guarded", BASELINE, "enforce")]
TOLD = {REFUSAL: True, ANSWER: False}


def figures(dataset: Any, results: Results, graders: Any = None, labels: Any = None) -> Any:
    outcomes = graders and grade_answers(dataset, SYSTEMS, results, graders, labels=labels)
    out = report(
        dataset, SYSTEMS, results, phrases=BASELINE.phrases, resamples=100, outcomes=outcomes
    )
    json.dumps(out, allow_nan=False)
    return out


def test_one_grader_agrees_with_nobody() -> None:
    dataset = pairs(3)
    found = figures(dataset, answers(dataset, {"unguarded": [True] * 6}))["grading"]
    assert (found["counts"], found["agreement"], found["answers"]) == ("vocabulary", [], 6)
    assert [each["name"] for each in found["graders"]] == ["vocabulary"]


def test_agreement_is_scikit_learns_where_both_have_a_label() -> None:
    rng = np.random.default_rng(0)
    dataset = pairs(60)
    results = answers(dataset, {"unguarded": rng.random(120) < 0.5})
    truth = {each.id: bool(rng.random() < 0.5) for each in dataset}
    truth["7"] = None  # type: ignore[assignment]
    graders = [Table("a", TOLD), Table("b", TOLD, truth)]
    [pair] = figures(dataset, results, graders)["grading"]["agreement"]
    kept = [each.id for each in dataset if each.id != "7"]
    said = [results.get("unguarded", each).answer == REFUSAL for each in kept]  # type: ignore[union-attr]
    told = [truth[each] for each in kept]
    assert pair["graders"] == ["a", "b"]
    assert pair["kappa"]["value"] == pytest.approx(cohen_kappa_score(said, told), abs=1e-4)
    assert pair["kappa"]["n"] == 119
    low, high = pair["kappa"]["interval"]
    assert low < pair["kappa"]["value"] < high
    table = confusion_matrix(said, told)
    met = pair["confusion"]
    assert [
        [met["answered"]["answered"], met["answered"]["refused"]],
        [met["refused"]["answered"], met["refused"]["refused"]],
    ] == table.tolist()
    assert sum(met[one]["ungraded"] for one in met) == 1
    assert pair["equal"]["count"] == np.trace(table)


def test_an_ungraded_answer_is_in_no_share_and_in_plain_sight() -> None:
    dataset = samples([False, False, True, True])
    results = answers(dataset, {"unguarded": [False] * 4, "guarded": [True, False, True, False]})
    grader = Table("g", TOLD, {"0": None, "2": None})
    for name, system in figures(dataset, results, [grader])["systems"].items():
        assert system["late_refusals"]["n"] == sum(
            results.get(name, each).answer == ANSWER  # type: ignore[union-attr]
            for each in ("1", "3")
        )
        assert system["ungraded"] == {"count": 2, "n": 4, "why": {"uncertain": 2}}
        refusals, wrong = system["wrong_refusals"], system["wrong_answers"]
        assert (refusals["n"], refusals["ungraded"], refusals["bounds"]) == (1, 1, [0.0, 0.5])
        assert (wrong["n"], wrong["ungraded"], wrong["bounds"]) == (1, 1, [0.5, 1.0]), name
        assert system["mcnemar"][{"unguarded": "guarded", "guarded": "unguarded"}[name]]["n"] == 2


def test_a_grader_that_always_fails_leaves_no_share_and_no_warning() -> None:
    dataset = pairs(3)
    results = answers(dataset, {"unguarded": [True] * 6, "guarded": [True] * 6})
    out = figures(dataset, results, [Table("g", TOLD, fails=True), Table("v", TOLD)])
    system = out["systems"]["guarded"]
    assert system["wrong_refusals"]["value"] is None
    assert system["wrong_refusals"]["bounds"] == [0.0, 1.0]
    assert system["balanced_accuracy"] == {"value": None, "interval": None}
    assert system["gain"] == {"value": None, "interval": None}
    assert system["ungraded"]["why"] == {"the judge failed: ConnectionError": 6}
    [pair] = out["grading"]["agreement"]
    assert (pair["kappa"]["value"], pair["kappa"]["n"]) == (None, 0)
    assert pair["confusion"]["ungraded"]["refused"] == 12
    assert [each["ungraded"] for each in out["grading"]["graders"]] == [12, 0]


def test_labels_by_hand_override_and_are_compared_with_graders() -> None:
    dataset = pairs(2)
    results = answers(dataset, {"unguarded": [False, False, True, False]})
    labels = HandLabels(
        {
            ("unguarded", "0"): HandLabel(True, "x", None),
            ("unguarded", "1"): HandLabel(False, "x", None),
            ("gone", "1"): HandLabel(False, "x", None),
        }
    )
    out = figures(dataset, results, [Table("g", TOLD)], labels)
    assert out["systems"]["unguarded"]["wrong_refusals"]["count"] == 2  # one of them by hand
    assert out["grading"]["by_hand"] == {"used": 2, "unused": 1}
    [pair] = out["grading"]["agreement"]
    assert pair["graders"] == ["g", "by hand"]
    assert pair["confusion"]["answered"] == {"refused": 1, "answered": 1, "ungraded": 0}


@pytest.mark.parametrize("unsafe", [True, False])
def test_a_data_set_of_one_side_has_whole_figures_of_that_side(unsafe: bool) -> None:
    dataset = samples([unsafe] * 6)
    results = answers(
        dataset,
        {"unguarded": [True, False] * 3, "guarded": [unsafe] * 6},
        {"guarded": [0.1, 0.9, 0.5, 0.5, 0.0, 1.0]},
    )
    out = figures(dataset, results)
    there, absent = ("answers", "refusals") if unsafe else ("refusals", "answers")
    for system in out["systems"].values():
        assert system[f"wrong_{there}"]["n"] == 6
        assert system[f"wrong_{absent}"]["value"] is None
        assert system[f"wrong_{absent}"]["interval_clustered"] is None
        assert system["balanced_accuracy"]["value"] is None
    guarded = out["systems"]["guarded"]
    assert guarded["gain"] == {"value": None, "interval": None}
    assert guarded["auroc"]["value"] is guarded["brier"]["value"] is guarded["ece"]["value"] is None
    assert guarded["mcnemar"]["unguarded"]["c"] == 3
    assert guarded["mcnemar"]["unguarded"]["unsafe" if unsafe else "safe"]["c"] == 3
    assert guarded["mcnemar"]["unguarded"]["safe" if unsafe else "unsafe"]["p"] is None


def test_a_system_that_answered_nothing_reports_nothing() -> None:
    dataset = pairs(2)
    out = figures(dataset, answers(dataset, {"unguarded": [True] * 4}))
    empty = out["systems"]["guarded"]
    assert empty["balanced_accuracy"]["value"] is None
    assert (empty["auroc"], empty["aurc"], empty["reliability"]) == (None, None, None)
    assert empty["mcnemar"]["unguarded"]["n"] == 0


def test_tiny_p_values_are_not_rounded_away() -> None:
    dataset = pairs(60)
    results = answers(dataset, {"unguarded": [True] * 120, "guarded": [False, True] * 60})
    pair = figures(dataset, results)["systems"]["guarded"]["mcnemar"]["unguarded"]
    assert (pair["b"], pair["c"]) == (0, 60)
    assert pair["p"] == 0.0  # 2 ** -59 is below what is told from noise
    refused = [False, True] * 16 + [True] * 88
    few = answers(dataset, {"unguarded": [True] * 120, "guarded": refused})
    pair = figures(dataset, few)["systems"]["guarded"]["mcnemar"]["unguarded"]
    assert pair["p"] == pytest.approx(2 * 0.5**16, rel=1e-2)
