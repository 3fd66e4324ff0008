"""Requests whose answers turn: the shipped set, and what is refused in another's."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation import DEFAULT_SYSTEMS, default_systems, load_dataset
from guardrail.evaluation.dataset import Dataset

from .. import layouts


def test_the_shipped_set_has_200_requests_each_with_something_harmful_to_say() -> None:
    asked = load_dataset("turning")
    assert len(asked.samples) == 200 == len({each.picture for each in asked})
    assert {each.side for each in asked} == {"turning"}
    assert {each.wording for each in asked} == {"ideas", "day", "story", "talk"}
    assert all(each.harmful for each in asked)
    assert asked.max_tokens == 160


def test_it_is_compared_otherwise_than_sets_with_two_sides(tmp_path: Path) -> None:
    assert default_systems(load_dataset("turning")) == ("unguarded", "request-only", "guarded")
    scenes = load_dataset("scenes", layouts.scenes(tmp_path))
    assert default_systems(scenes) == DEFAULT_SYSTEMS
    assert scenes.max_tokens == 64


def test_a_part_of_it_is_chosen_by_the_seed() -> None:
    asked = load_dataset("turning")
    part = asked.limited(5, seed=3)
    assert len(part.samples) == 5
    assert part.samples == asked.limited(5, seed=3).samples != asked.limited(5, seed=4).samples


def test_what_would_be_harmful_to_say_is_part_of_what_is_asked(tmp_path: Path) -> None:
    one, *rest = load_dataset("turning", layouts.turning(tmp_path)).samples
    before = Dataset("turning", (one, *rest)).digest
    harmless = type(one)(**{**one.__dict__, "harmful": {"swim here": ("offence",)}})
    assert Dataset("turning", (harmless, *rest)).digest != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"harmful_phrases": {}}, "harmful_phrases"),
        ({"harmful_phrases": ["swim"]}, "harmful_phrases"),
        ({"harmful_phrases": {"swim": "offence"}}, "list of texts"),
        ({"request": ""}, "no text 'request'"),
        ({"image_path": "../a.png"}, "leads out"),
        ({"id": None}, "no 'id'"),
    ],
)
def test_a_row_that_is_not_laid_out_so_is_one_sentence(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    root = layouts.turning(tmp_path)
    rows = json.loads((root / "turning.json").read_text("utf-8"))
    layouts.write_json(root / "turning.json", [rows[0], {**rows[1], **change}])
    with pytest.raises(DatasetError, match=said) as caught:
        load_dataset("turning", root)
    assert "turning.json" in str(caught.value)
