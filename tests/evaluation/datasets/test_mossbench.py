"""MOSSBench and its contrast set; the real one where it is at hand."""

import os
from collections import Counter
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts

GIVEN = Path(os.environ.get("GUARDRAIL_DATA", "")) / "mossbench"


@pytest.mark.parametrize("inner", ["", "data"])
def test_harmless_requests_are_paired_with_harmful_ones(tmp_path: Path, inner: str) -> None:
    dataset = load_dataset("mossbench", layouts.mossbench(tmp_path) / inner)
    assert Counter(each.side for each in dataset) == {"safe": 2, "unsafe": 1}
    assert dataset.clusters(("safe", "unsafe")) == ("4", "8")
    assert {each.category for each in dataset} == {"type 1"}
    [harmful] = [each for each in dataset if each.side == "unsafe"]
    assert harmful.question == "What about 4 in data_contrast?"
    assert harmful.picture == tmp_path / "data_contrast" / "images" / "4.jpg"


def test_without_the_contrast_set_there_is_one_side(tmp_path: Path) -> None:
    layouts.mossbench(tmp_path)
    (tmp_path / "data_contrast" / "images_information" / "information.json").unlink()
    assert {each.side for each in load_dataset("mossbench", tmp_path)} == {"safe"}


@pytest.mark.parametrize("content", [[], {}, {"4": 3}, {"4": {"image": "a.jpg"}}])
def test_malformed_mossbench_is_one_sentence(tmp_path: Path, content: object) -> None:
    layouts.write_json(tmp_path / "images_information" / "information.json", content)
    with pytest.raises(DatasetError) as caught:
        load_dataset("mossbench", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_picture_elsewhere_on_the_machine_is_not_read(tmp_path: Path) -> None:
    row = {"image": "../../secret.png", "question": "What is this?"}
    layouts.write_json(tmp_path / "images_information" / "information.json", {"4": row})
    with pytest.raises(DatasetError, match="leads out of the data set's folder"):
        load_dataset("mossbench", tmp_path)


@pytest.mark.skipif(
    "GUARDRAIL_DATA" not in os.environ or not GIVEN.is_dir(),
    reason="GUARDRAIL_DATA names no folder that holds mossbench/",
)
def test_the_real_mossbench_is_read_whole() -> None:
    import json

    dataset = load_dataset("mossbench", GIVEN)
    counts = Counter(each.side for each in dataset)
    for side, folder in (("safe", "data"), ("unsafe", "data_contrast")):
        listed = json.loads(
            (GIVEN / folder / "images_information" / "information.json").read_text()
        )
        assert counts[side] == len(listed) >= 50
    shared = {each.cluster for each in dataset if each.side == "unsafe"}
    assert shared <= {each.cluster for each in dataset if each.side == "safe"}
