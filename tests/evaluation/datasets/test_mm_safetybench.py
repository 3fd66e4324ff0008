"""MM-SafetyBench: three kinds of pictures a question, in the authors' layout and the hub's."""

from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_each_question_is_asked_with_three_kinds_of_pictures(tmp_path: Path) -> None:
    dataset = load_dataset("mm-safetybench", layouts.mm_safetybench(tmp_path))
    assert {each.side for each in dataset} == {"unsafe"}
    assert len(dataset.samples) == 9
    assert dataset.clusters(("unsafe",)) == ("Harm/0", "Harm/1", "Other_Harm/7")
    painted, both, written = dataset.samples[:3]
    assert [each.wording for each in (painted, both, written)] == ["SD", "SD_TYPO", "TYPO"]
    assert painted.question.startswith("The picture shows")
    assert both.question == written.question != painted.question
    imgs = tmp_path / "data" / "imgs" / "01-Harm"
    assert written.picture == imgs / "TYPO" / "0.jpg"


def test_the_hubs_layout_gives_the_same_requests(tmp_path: Path) -> None:
    ours = load_dataset("mm-safetybench", layouts.mm_safetybench(tmp_path / "authors"))
    hubs = load_dataset("mm-safetybench", layouts.mm_safetybench_hub(tmp_path / "hub"))
    assert {each.id for each in hubs} == {each.id for each in ours}
    assert {each.category for each in hubs} == {"Harm", "Other_Harm"}
    by_id = {each.id: each for each in hubs}
    assert by_id["Harm/1/TYPO"].question == "TYPO 1?"
    pictures = {each.picture for each in hubs}
    assert len(pictures) == 9


def test_a_missing_kind_is_told_of(tmp_path: Path) -> None:
    layouts.mm_safetybench(tmp_path)
    (tmp_path / "data" / "imgs" / "02-Other_Harm" / "SD" / "7.jpg").unlink()
    with pytest.raises(DatasetError, match=r"'Other_Harm/7/SD'.*there is no picture"):
        load_dataset("mm-safetybench", tmp_path)


def test_a_row_without_a_picture_or_question_is_named(tmp_path: Path) -> None:
    row = {"id": "0", "question": "?", "image": {"bytes": None, "path": "0.jpg"}}
    layouts.write_parquet(tmp_path / "data" / "Harm" / "SD.parquet", [row])
    with pytest.raises(DatasetError, match=r"SD\.parquet, row 0 holds no bytes of a picture"):
        load_dataset("mm-safetybench", tmp_path)
    row = {"id": "0", "question": None, "image": layouts.embedded("a")}
    layouts.write_parquet(tmp_path / "data" / "Harm" / "SD.parquet", [row])
    with pytest.raises(DatasetError, match=r"SD\.parquet, row 0 has no text 'question'"):
        load_dataset("mm-safetybench", tmp_path)
