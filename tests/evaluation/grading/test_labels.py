"""Labels by hand: what is written for a person, what is read again, and what no longer fits."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation import Results
from guardrail.evaluation.grading import (
    Grade,
    HandLabels,
    Outcomes,
    grade_answers,
    read_labels,
    write_unlabelled,
)
from guardrail.evaluation.systems import System
from guardrail.policy import load_policy

from ..made import ANSWER, REFUSAL, answers, pairs, with_answers
from .work_graders import Table

BASELINE = load_policy("baseline")
SYSTEMS = [System(name, BASELINE, "off") for name in ("one", "other")]


def made() -> tuple[Any, Results, Outcomes]:
    """Two systems and two graders: the second differs on sample 1 and has no label for 2."""
    dataset = pairs(2)
    results = answers(
        dataset,
        {"one": [True, False, True, False], "other": [True, True, True, False]},
    )
    first = Table("first", {REFUSAL: True, ANSWER: False})
    second = Table("second", {REFUSAL: True, ANSWER: False}, {"1": True, "2": None})
    return dataset, results, grade_answers(dataset, SYSTEMS, results, [first, second])


def test_what_graders_differ_on_is_written_with_what_they_said(tmp_path: Path) -> None:
    dataset, results, outcomes = made()
    path = tmp_path / "out" / "label.jsonl"
    assert write_unlabelled(path, dataset, ["one", "other"], results, outcomes) == 2
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "system": "one",
        "sample": "1",
        "question": "Question 1?",
        "answer": ANSWER,
        "grades": {"first": "answered", "second": "refused"},
        "refused": None,
        "by": "",
        "also": [],
    }
    # Both systems gave the same answer: one line, for both.
    assert (second["sample"], second["system"], second["also"]) == ("2", "one", ["other"])
    assert second["grades"] == {"first": "refused", "second": "ungraded"}


def test_what_every_grader_left_ungraded_is_written(tmp_path: Path) -> None:
    dataset, results, _ = made()
    unsure = grade_answers(dataset, SYSTEMS, results, [Table("g", {REFUSAL: True, ANSWER: None})])
    path = tmp_path / "label.jsonl"
    assert write_unlabelled(path, dataset, ["one", "other"], results, unsure) == 2
    assert [json.loads(line)["sample"] for line in path.read_text().splitlines()] == ["1", "3"]


def test_a_file_that_is_filled_in_overrides_and_what_is_not_stays(tmp_path: Path) -> None:
    dataset, results, outcomes = made()
    path = tmp_path / "label.jsonl"
    write_unlabelled(path, dataset, ["one", "other"], results, outcomes)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1].update(refused=False, by="A. Reader")
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    labels = read_labels(path)
    assert set(labels.labels) == {("one", "2"), ("other", "2")}
    graders = [Table("first", {REFUSAL: True, ANSWER: False})]
    corrected = grade_answers(dataset, SYSTEMS, results, graders, labels=labels)
    for system in ("one", "other"):
        record = results.get(system, "2")
        assert record is not None
        assert outcomes.refused(record) is True
        assert corrected.refused(record) is False
    assert (len(corrected.by_hand), corrected.unused) == (2, 0)
    # What a person has labelled is not asked again.
    assert write_unlabelled(path, dataset, ["one", "other"], results, corrected) == 0


def test_an_answer_with_other_ends_of_lines_comes_back(tmp_path: Path) -> None:
    dataset, results, _ = made()
    odd = "Sure\u2028here\x85is\x0chow."
    with_answers(results, "one", {"1": odd})
    unsure = grade_answers(
        dataset, SYSTEMS[:1], results, [Table("g", {REFUSAL: True, ANSWER: False, odd: None})]
    )
    path = tmp_path / "label.jsonl"
    write_unlabelled(path, dataset, ["one"], results, unsure)
    path.write_text(path.read_text("utf-8").replace('"refused": null', '"refused": false')
                    .replace('"by": ""', '"by": "A. Reader"'), "utf-8")  # fmt: skip
    labels = read_labels(path)
    assert labels.labels["one", "1"].answer == odd
    assert labels.matching(results)["one", "1"] is False


def test_a_label_of_another_answer_or_of_nothing_is_not_used(tmp_path: Path) -> None:
    dataset, results, _ = made()
    path = tmp_path / "label.jsonl"
    rows: list[dict[str, Any]] = [
        {"system": "one", "sample": "0", "refused": False, "by": "x", "answer": "Something else."},
        {"system": "one", "sample": "99", "refused": False, "by": "x"},
        {"system": "nobody", "sample": "1", "refused": False, "by": "x"},
        {"system": "one", "sample": "1", "refused": True, "by": "x"},
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows) + "\n")
    graders = [Table("first", {REFUSAL: True, ANSWER: False})]
    found = grade_answers(dataset, SYSTEMS, results, graders, labels=read_labels(path))
    assert dict(found.by_hand) == {("one", "1"): True}
    assert found.unused == 3


def test_a_label_gives_an_ungraded_answer_an_outcome() -> None:
    _, results, _ = made()
    [record] = [results.get("one", "2")]
    assert record is not None
    unsure = Outcomes({"g": "d"}, {"g": {("one", "2"): Grade(None, why="uncertain")}})
    assert (unsure.refused(record), unsure.why(record)) == (None, "uncertain")
    labelled = Outcomes(unsure.graders, unsure.grades, {("one", "2"): False})
    assert (labelled.refused(record), labelled.why(record)) == (False, "")
    assert HandLabels().matching(results) == {}


GOOD = {"system": "s", "sample": "1", "refused": True, "by": "x"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("nonsense", "line 2 of labels"),
        ("[1]", "is no map"),
        ({**GOOD, "refuse": True}, "has 'refuse'"),
        ({**GOOD, "refused": "yes"}, "has 'yes' for refused, expected true, false or null"),
        ({**GOOD, "refused": 1}, "has 1 for refused"),
        ({"system": "s", "sample": "1", "by": "x"}, "has nothing for refused"),
        ({**GOOD, "by": " "}, "has by ' ', expected who says so"),
        ({"system": "s", "sample": "1", "refused": True}, "has by None"),
        ({**GOOD, "sample": 3}, "has sample 3, expected a text"),
        ({**GOOD, "system": ""}, "has system ''"),
        ({**GOOD, "answer": 3}, "no texts"),
        ({**GOOD, "also": "other"}, "no texts"),
        ({**GOOD, "sample": "0", "refused": False}, "contradicts an earlier one on sample '0'"),
    ],
)
def test_a_line_that_is_no_label_is_named(row: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    text = row if isinstance(row, str) else json.dumps(row)
    path.write_text(json.dumps({**GOOD, "sample": "0"}) + "\n" + text + "\n")
    with pytest.raises(DatasetError) as caught:
        read_labels(path)
    assert said in str(caught.value)
    assert "line 2" in str(caught.value)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read labels"):
        read_labels(tmp_path / "absent.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match="cannot read labels"):
        read_labels(tmp_path / "binary.jsonl")
    dataset, results, outcomes = made()
    with pytest.raises(DatasetError, match="cannot write"):
        write_unlabelled(tmp_path, dataset, ["one"], results, outcomes)
