"""HoliSafe-Bench: the last letter of a combination says which side it is on."""

import json
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_only_what_is_safe_together_is_to_be_answered(tmp_path: Path) -> None:
    dataset = load_dataset("holisafe", layouts.holisafe(tmp_path))
    assert {each.wording: each.side for each in dataset} == {
        "SSS": "safe",
        "SSU": "unsafe",
        "SUU": "unsafe",
        "USU": "unsafe",
        "UUU": "unsafe",
    }
    assert dataset.clusters(("safe", "unsafe")) == ("harm/kind/S.jpg", "harm/kind/U.jpg")
    assert dataset.samples[3].picture == tmp_path / "images" / "harm" / "kind" / "U.jpg"


@pytest.mark.parametrize("kind", ["", "SS", "UUS", "safe"])
def test_a_combination_that_there_is_not_is_named(tmp_path: Path, kind: str) -> None:
    file = layouts.holisafe(tmp_path) / "holisafe_bench.json"
    rows = json.loads(file.read_text())
    rows[2]["type"] = kind
    layouts.write_json(file, rows)
    with pytest.raises(
        DatasetError, match=rf"\[2\] has type '{kind.upper()}', expected one of SSS"
    ):
        load_dataset("holisafe", tmp_path)
