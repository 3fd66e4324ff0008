"""Grading every answer, once, and keeping what cost something."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guardrail.evaluation import Record, Results, load_dataset
from guardrail.evaluation.grading import Outcomes, grade_answers, graded_by_vocabulary, is_settled
from guardrail.evaluation.results import KeptGrade
from guardrail.evaluation.systems import System
from guardrail.policy import load_policy
from tests.evaluation import layouts

from ..made import ANSWER, REFUSAL, answers, pairs, record
from .work_graders import Table

BASELINE = load_policy("baseline")
SYSTEMS = [System(name, BASELINE, "off") for name in ("one", "other")]
TOLD = {REFUSAL: True, ANSWER: False}
HEADER = {"dataset": "made"}


def refill(path: Path, dataset: Any) -> Results:
    """A results file with answers of both systems, opened anew."""
    results = Results(HEADER, path=path)
    if not len(results):
        for system in ("one", "other"):
            results.add([record(system, each.id, refused=each.id == "1") for each in dataset])
    return results


def test_the_same_answer_to_the_same_request_is_graded_once() -> None:
    dataset = pairs(3)
    results = answers(dataset, {"one": [True] * 6, "other": [True] * 5 + [False]})
    grader = Table("g", TOLD)
    outcomes = grade_answers(dataset, SYSTEMS, results, [grader])
    assert len(grader.asked) == 7
    assert len(outcomes.grades["g"]) == 12


def test_what_was_blocked_or_escalated_is_refused_without_grading() -> None:
    dataset = pairs(2)
    results = answers(dataset, {"one": [False] * 4})
    for sample, finish in (("0", "blocked"), ("1", "escalated")):
        before = results.get("one", sample)
        assert before is not None
        results.add([replace(before, finish=finish)])
    grader = Table("g", TOLD)
    outcomes = grade_answers(dataset, SYSTEMS, results, [grader])
    assert [each.sample.id for each in grader.asked] == ["2", "3"]
    found = [outcomes.refused(one) for each in dataset if (one := results.get("one", each.id))]
    assert found == [True, True, False, False]
    settled = [is_settled(one) for each in dataset if (one := results.get("one", each.id))]
    assert settled == [True, True, False, False]


def test_neutral_and_blank_answers_are_not_graded(tmp_path: Path) -> None:
    dataset = load_dataset("scenes", layouts.scenes(tmp_path))
    results = Results({})
    results.add([record("one", each.id, refused=False) for each in dataset])
    grader = Table("g", TOLD)
    grade_answers(dataset, SYSTEMS, results, [grader])
    assert {each.sample.side for each in grader.asked} == {"safe", "unsafe"}


def test_the_first_grader_counts() -> None:
    dataset = pairs(1)
    results = answers(dataset, {"one": [True, False]})
    mild = Table("mild", dict.fromkeys(TOLD, False))
    harsh = Table("harsh", dict.fromkeys(TOLD, True))
    found = results.get("one", "0")
    assert found is not None
    assert grade_answers(dataset, SYSTEMS, results, [mild, harsh]).refused(found) is False
    assert grade_answers(dataset, SYSTEMS, results, [harsh, mild]).refused(found) is True


def test_two_graders_of_one_name_are_told_apart() -> None:
    dataset = pairs(1)
    results = answers(dataset, {"one": [True, False]})
    outcomes = grade_answers(dataset, SYSTEMS, results, [Table("g", TOLD) for _ in range(3)])
    assert list(outcomes.graders) == ["g", "g (2)", "g (3)"]
    assert outcomes.counts == "g"


def test_no_graders_at_all_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no graders"):
        grade_answers(pairs(1), SYSTEMS, Results({}), [])


def test_a_rerun_grades_nothing_again(tmp_path: Path) -> None:
    dataset, path = pairs(20), tmp_path / "results.jsonl"
    first = grade_answers(
        dataset, SYSTEMS, refill(path, dataset), [Table("g", TOLD, {"3": None}, costly=True)]
    )
    again = Table("g", TOLD, {"3": True}, costly=True)  # would say otherwise now
    second = grade_answers(dataset, SYSTEMS, refill(path, dataset), [again])
    assert again.asked == []
    assert second == first
    assert second.grades["g"]["one", "3"].why == "uncertain"


def test_an_interrupted_grading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    dataset, path = pairs(20), tmp_path / "results.jsonl"

    class Killed(Table):
        def __call__(self, items: Any) -> Any:
            if len(self.asked) >= 16:
                raise KeyboardInterrupt
            return super().__call__(items)

    with pytest.raises(KeyboardInterrupt):
        grade_answers(dataset, SYSTEMS, refill(path, dataset), [Killed("g", TOLD, costly=True)])
    rest = Table("g", TOLD, costly=True)
    resumed = grade_answers(dataset, SYSTEMS, refill(path, dataset), [rest])
    assert len(rest.asked) == 40 - 16
    whole = grade_answers(dataset, SYSTEMS, refill(path, dataset), [Table("g", TOLD)])
    assert resumed == whole


def test_grades_of_other_graders_and_of_other_answers_are_not_mixed_up(tmp_path: Path) -> None:
    dataset, path = pairs(2), tmp_path / "results.jsonl"
    grade_answers(dataset, SYSTEMS, refill(path, dataset), [Table("g", TOLD, costly=True)])
    changed = Table("g", dict.fromkeys(TOLD, True), costly=True, digest="another rubric")
    outcomes = grade_answers(dataset, SYSTEMS, refill(path, dataset), [changed])
    assert len(changed.asked) == 4
    assert {grade.refused for grade in outcomes.grades["g"].values()} == {True}
    # The first grader's are still there.
    before = Table("g", TOLD, costly=True)
    results = refill(path, dataset)
    grade_answers(dataset, SYSTEMS, results, [before])
    assert before.asked == []
    # Another answer to the same request is another item.
    record_: Record | None = results.get("one", "0")
    assert record_ is not None
    results.add([replace(record_, answer=REFUSAL)])
    grade_answers(dataset, SYSTEMS, results, [before])
    assert [item.answer for item in before.asked] == [REFUSAL]


def test_failures_are_not_kept_and_a_rerun_tries_again(tmp_path: Path) -> None:
    dataset, path = pairs(2), tmp_path / "results.jsonl"
    failing = Table("g", TOLD, costly=True, fails=True)
    outcomes = grade_answers(dataset, SYSTEMS, refill(path, dataset), [failing])
    found = refill(path, dataset).get("one", "0")
    assert found is not None
    assert (outcomes.refused(found), outcomes.why(found)) == (
        None,
        "the judge failed: ConnectionError",
    )
    better = Table("g", TOLD, costly=True)
    outcomes = grade_answers(dataset, SYSTEMS, refill(path, dataset), [better])
    assert len(better.asked) == 4
    assert outcomes.refused(found) is False


def test_a_grade_that_was_cut_off_is_asked_for_again(tmp_path: Path) -> None:
    dataset, path = pairs(2), tmp_path / "results.jsonl"
    grade_answers(dataset, SYSTEMS, refill(path, dataset), [Table("g", TOLD, costly=True)])
    path.write_text(path.read_text()[:-20])  # killed while it wrote
    again = Table("g", TOLD, costly=True)
    results = refill(path, dataset)
    grade_answers(dataset, SYSTEMS, results, [again])
    assert len(again.asked) == 1
    assert len(results) == 8  # grades are no answers
    assert results.grade("digest of g", "no such item") is None
    assert isinstance(results.grade("digest of g", again.asked[0].digest), KeptGrade)


def test_by_vocabulary_alone_is_one_grader() -> None:
    dataset = pairs(2)
    results = answers(dataset, {"one": [True, False, False, True]})
    outcomes: Outcomes = graded_by_vocabulary(dataset, SYSTEMS, results, BASELINE.phrases)
    assert list(outcomes.graders) == ["vocabulary"]
    found = [outcomes.refused(one) for each in dataset if (one := results.get("one", each.id))]
    assert found == [True, False, False, True]


def test_progress_counts_to_the_number_of_answers(tmp_path: Path) -> None:
    dataset, seen = pairs(20), []
    results = answers(dataset, {"one": [True] * 40})
    grade_answers(
        dataset,
        SYSTEMS,
        results,
        [Table("g", TOLD)],
        progress=lambda grader, done, total: seen.append((grader.name, done, total)),
    )
    assert seen == [("g", 0, 40), ("g", 16, 40), ("g", 32, 40), ("g", 40, 40)]
