"""MSTS by language, in the repository's layout and the hub's."""

from collections import Counter
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset
from guardrail.evaluation.datasets.msts import LANGUAGES

from .. import layouts


def test_every_language_is_asked_and_tagged(tmp_path: Path) -> None:
    dataset = load_dataset("msts", layouts.msts(tmp_path))
    assert Counter(each.language for each in dataset) == {"en": 4, "de": 2}
    assert {each.side for each in dataset} == {"unsafe"}
    assert Counter(each.wording for each in dataset) == {"assistance": 4, "intention": 2}
    german = dataset.in_languages(["de"]).samples
    assert [each.question for each in german] == ["Soll ich, 0?", "Soll ich, 1?"]
    assert all(each.picture is not None for each in dataset)


def test_a_case_in_all_its_languages_is_one_cluster(tmp_path: Path) -> None:
    dataset = load_dataset("msts", layouts.msts(tmp_path))
    assert dataset.clusters(("unsafe",)) == ("case_0", "case_1")


def test_the_hubs_layout_gives_the_same_requests(tmp_path: Path) -> None:
    ours = load_dataset("msts", layouts.msts(tmp_path / "repository"))
    hubs = load_dataset("msts", layouts.msts_hub(tmp_path / "hub"))
    assert {each.id for each in hubs} == {each.id for each in ours}
    # A case has one picture in all its languages: it is kept once.
    assert len({each.picture for each in hubs}) == 2


def test_a_picture_that_was_not_downloaded_is_told_of(tmp_path: Path) -> None:
    layouts.msts(tmp_path)
    (tmp_path / "data" / "unsafe_images" / "unsafe_image_1.png").unlink()
    with pytest.raises(DatasetError, match=r"there is no picture .*unsafe_image_1\.jpg"):
        load_dataset("msts", tmp_path)


def test_a_file_in_an_unknown_language_is_told_of(tmp_path: Path) -> None:
    layouts.msts(tmp_path)
    prompts = tmp_path / "data" / "prompts"
    (prompts / "german_multimodal.csv").rename(prompts / "klingon_multimodal.csv")
    with pytest.raises(DatasetError, match="is in 'klingon', expected one of arabic, chinese"):
        load_dataset("msts", tmp_path)


def test_there_are_eleven_languages() -> None:
    assert len(LANGUAGES) == len(set(LANGUAGES.values())) == 11
