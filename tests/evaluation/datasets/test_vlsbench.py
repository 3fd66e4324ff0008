"""VLSBench: pictures in a folder or in an archive, several requests about one."""

import json
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


@pytest.mark.parametrize("archived", [False, True])
def test_requests_about_one_picture_are_one_cluster(tmp_path: Path, archived: bool) -> None:
    dataset = load_dataset("vlsbench", layouts.vlsbench(tmp_path, archived=archived))
    assert {each.side for each in dataset} == {"unsafe"}
    assert dataset.clusters(("unsafe",)) == ("imgs/0.png", "imgs/2.png")
    assert all(each.picture and each.picture.is_file() for each in dataset)
    assert (tmp_path in (dataset.samples[0].picture or tmp_path).parents) is not archived


def test_a_row_that_asks_nothing_is_left_out(tmp_path: Path) -> None:
    dataset = load_dataset("vlsbench", layouts.vlsbench(tmp_path))
    assert [each.id for each in dataset] == ["0", "1", "2"]


def test_the_list_may_lie_where_the_repository_has_it(tmp_path: Path) -> None:
    layouts.vlsbench(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data.json").rename(tmp_path / "data" / "data.json")
    assert len(load_dataset("vlsbench", tmp_path).samples) == 3


@pytest.mark.parametrize("missing", ["instruction", "image_path", "instruction_id"])
def test_a_row_that_lacks_a_field_is_named(tmp_path: Path, missing: str) -> None:
    file = layouts.vlsbench(tmp_path) / "data.json"
    rows = json.loads(file.read_text())
    del rows[1][missing]
    layouts.write_json(file, rows)
    with pytest.raises(DatasetError, match=rf"data\.json\[1\] has no (text )?'{missing}'"):
        load_dataset("vlsbench", tmp_path)
