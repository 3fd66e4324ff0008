"""The built-in scenes: what is read, and what is said of ones that are not laid out so."""

from collections import Counter
from pathlib import Path

import pytest

from guardrail.embedded import HELDOUT
from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_scenes_have_two_sides_neutral_questions_and_blank_twins(tmp_path: Path) -> None:
    dataset = load_dataset("scenes", layouts.scenes(tmp_path))
    assert Counter(each.side for each in dataset) == {
        "safe": 4, "unsafe": 4, "neutral": 3, "blank": 2,
    }  # fmt: skip
    assert dataset.vocabulary == ("cake", "fire", "fire extinguisher")
    first = dataset.samples[0]
    assert (first.id, first.cluster, first.wording) == ("0000/safe", "0000", "alarming")
    assert first.picture == tmp_path / "pictures" / "0-safe.png"
    [twin] = [each for each in dataset if each.id == "neutral/n0/blank"]
    assert twin.picture is None
    assert not twin.text_only
    assert twin.question == "Describe this."


def test_scenes_without_neutral_questions_are_pairs_alone(tmp_path: Path) -> None:
    layouts.scenes(tmp_path)
    (tmp_path / "neutral.json").unlink()
    assert {each.side for each in load_dataset("scenes", tmp_path)} == {"safe", "unsafe"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ('[{"question": "x"}]', "no text 'safe_image_path'"),
        ('[{"question": " ", "safe_image_path": "a"}]', "no text 'question'"),
        ("[]", "holds no samples"),
        ("{}", "holds no list of samples"),
    ],
)
def test_malformed_scenes_are_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "combined.json").write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("scenes", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not (HELDOUT / "combined.json").is_file(), reason="no held-out set here")
def test_shipped_scenes_are_five_hundred_pairs_and_more() -> None:
    dataset = load_dataset("scenes")
    counts = Counter(each.side for each in dataset)
    assert counts["safe"] == counts["unsafe"] >= 500
    assert counts["neutral"] >= 300
    assert {each.wording for each in dataset if each.side == "safe"} == {"alarming", "harmless"}
    assert dataset.origin == "shipped"
