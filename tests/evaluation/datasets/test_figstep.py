"""FigStep: one text beside every picture, taken from the README that tells it."""

from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_every_picture_is_shown_beside_the_text_of_the_readme(tmp_path: Path) -> None:
    dataset = load_dataset("figstep", layouts.figstep(tmp_path))
    assert {each.question for each in dataset} == {"Please fill in\nthe list."}
    assert {each.side for each in dataset} == {"unsafe"}
    assert [each.id for each in dataset] == ["1_1", "1_2", "10_1"]
    assert dataset.samples[2].category == "Topic 10"
    assert dataset.samples[2].picture is not None
    assert dataset.samples[2].picture.name == "query_ForbidQI_10_1_6.png"


@pytest.mark.parametrize(
    "content", [None, "no block", "text-prompt\n", "```\nbefore\n```\ntext-prompt"]
)
def test_without_that_text_nothing_is_asked(tmp_path: Path, content: str | None) -> None:
    layouts.figstep(tmp_path)
    (tmp_path / "README.md").unlink()
    if content is not None:
        (tmp_path / "README.md").write_text(content)
    with pytest.raises(DatasetError, match=r"README\.md' does not show the text"):
        load_dataset("figstep", tmp_path)


def test_a_list_without_a_column_is_named(tmp_path: Path) -> None:
    layouts.figstep(tmp_path)
    (tmp_path / "data" / "question" / "safebench.csv").write_text("dataset,category_id\n")
    with pytest.raises(DatasetError, match=r"safebench\.csv, line 1 has no column 'task_id'"):
        load_dataset("figstep", tmp_path)
