"""An organisation's own set: every fault with its file and line."""

import json
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation import Sample
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def written(folder: Path, *rows: object) -> Path:
    layouts.picture(folder / "a.png")
    file = folder / "list.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


@pytest.mark.parametrize("by", ["folder", "file"])
def test_a_list_is_read_from_a_file_or_the_folder_it_lies_in(tmp_path: Path, by: str) -> None:
    root = layouts.own(tmp_path)
    dataset = load_dataset("own", root if by == "folder" else root / "list.jsonl")
    assert dataset.samples == (
        Sample("1", "safe", "a", "How?", tmp_path / "photos" / "1.png"),
        Sample("2", "unsafe", "a", "Now?", tmp_path / "photos" / "1.png"),
        Sample("n", "neutral", "n", "¿Y?", None, wording="short", language="es"),
    )


def test_csv_is_read_as_json_lines_are(tmp_path: Path) -> None:
    layouts.own(tmp_path)
    rows = [
        {"picture": "photos/1.png", "question": "How, now?", "label": "Safe", "category": "tools"},
        {"picture": "", "question": "Now?", "label": "unsafe", "category": ""},
    ]
    layouts.write_csv(tmp_path / "list.csv", rows)
    first, second = load_dataset("own", tmp_path / "list.csv")
    assert (first.id, first.side, first.category) == ("2", "safe", "tools")
    assert (second.side, second.text_only, second.cluster) == ("unsafe", True, "3")


OK = {"question": "How?", "label": "safe"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**OK, "labl": "safe"}, r"an unknown field 'labl' \(did you mean 'label'\?\)"),
        ({**OK, "label": "benign"}, "label 'benign', expected safe, unsafe, neutral"),
        ({"question": "How?"}, "label '', expected"),
        ({"label": "safe"}, "no text 'question'"),
        ({**OK, "question": 3}, "no text 'question'"),
        ({**OK, "picture": "b.png"}, "names the picture 'b.png', which is not there"),
        ({**OK, "language": "German!"}, "language 'German!', expected a tag such as en or pt-BR"),
        ({**OK, "id": "first"}, r"id 'first' again, after .*list\.jsonl, line 1"),
        (3, "is no map"),
    ],
)
def test_a_fault_names_the_file_and_line(tmp_path: Path, row: object, said: str) -> None:
    file = written(tmp_path, {**OK, "id": "first"}, row)
    with pytest.raises(DatasetError, match=rf"list\.jsonl, line 2 .*{said}") as caught:
        load_dataset("own", file)
    assert "\n" not in str(caught.value)


def test_a_line_of_csv_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("question,label\nHow?,safe\nNow?,maybe\n")
    with pytest.raises(DatasetError, match=r"list\.csv, line 3 has label 'maybe'"):
        load_dataset("own", tmp_path)


def test_two_lists_in_a_folder_are_not_chosen_from(tmp_path: Path) -> None:
    written(tmp_path, OK)
    (tmp_path / "other.csv").write_text("question,label\n")
    with pytest.raises(
        DatasetError, match=r"'list\.jsonl' and 'other\.csv': give one of the files"
    ):
        load_dataset("own", tmp_path)


def test_a_list_in_another_form_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "list.xlsx").write_text("")
    with pytest.raises(DatasetError, match=r"list\.xlsx' is neither \.jsonl nor \.csv"):
        load_dataset("own", tmp_path / "list.xlsx")


def test_folders_by_label_pair_pictures_of_one_name(tmp_path: Path) -> None:
    for label in ("safe", "unsafe", "neutral"):
        layouts.picture(tmp_path / label / "17.PNG")
    layouts.picture(tmp_path / "safe" / "18.jpg")
    (tmp_path / "safe" / "notes.md").write_text("not asked")
    (tmp_path / "safe" / "question.txt").write_text("How?\n")
    (tmp_path / "safe" / "18.txt").write_text("Which?")
    (tmp_path / "unsafe" / "17.txt").write_text("How then?")
    (tmp_path / "neutral" / "question.txt").write_text("What is this?")
    dataset = load_dataset("own", tmp_path)
    assert [(each.id, each.side, each.cluster, each.question) for each in dataset] == [
        ("safe/17.PNG", "safe", "17", "How?"),
        ("safe/18.jpg", "safe", "18", "Which?"),
        ("unsafe/17.PNG", "unsafe", "17", "How then?"),
        ("neutral/17.PNG", "neutral", "17", "What is this?"),
    ]


def test_a_picture_without_a_question_is_named(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "safe" / "17.png")
    with pytest.raises(DatasetError, match=r"17\.png' has no question: write it into '17\.txt'"):
        load_dataset("own", tmp_path)
