"""SIUO, in the repository's layout and the hub's."""

import json
import shutil
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_every_request_is_unsafe_by_its_combination(tmp_path: Path) -> None:
    dataset = load_dataset("siuo", layouts.siuo(tmp_path))
    assert [(each.id, each.side) for each in dataset] == [("1001", "unsafe"), ("1002", "unsafe")]
    assert dataset.samples[1].category == "self-harm"
    assert dataset.samples[1].picture == tmp_path / "data" / "images" / "S-01.png"


def test_the_hub_has_the_same_without_the_folder_data(tmp_path: Path) -> None:
    layouts.siuo(tmp_path)
    shutil.move(tmp_path / "data", tmp_path / "hub")
    dataset = load_dataset("siuo", tmp_path / "hub")
    assert dataset.samples[0].picture == tmp_path / "hub" / "images" / "S-00.png"


@pytest.mark.parametrize("missing", ["question", "image", "question_id"])
def test_a_row_that_lacks_a_field_is_named(tmp_path: Path, missing: str) -> None:
    file = layouts.siuo(tmp_path) / "data" / "siuo_gen.json"
    rows = json.loads(file.read_text())
    del rows[1][missing]
    layouts.write_json(file, rows)
    with pytest.raises(DatasetError, match=rf"siuo_gen\.json\[1\] has no (text )?'{missing}'"):
        load_dataset("siuo", tmp_path)
