"""Samples and data sets: what holds them together, and which part of one is asked."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation import Dataset, Sample, load_dataset

from . import layouts


def sides(dataset: Dataset) -> Counter[str]:
    return Counter(each.side for each in dataset)


def spoken(*tags: str) -> Dataset:
    made = (Sample(f"{at}", "safe", "c", "q", None, language=tag) for at, tag in enumerate(tags))
    return Dataset("spoken", tuple(made))


def test_limit_keeps_whole_clusters_and_repeats_by_seed(tmp_path: Path) -> None:
    dataset = load_dataset("scenes", layouts.scenes(tmp_path, pairs=8, neutral=6))
    part = dataset.limited(3, seed=1)
    assert sides(part)["safe"] == sides(part)["unsafe"] == sides(part)["neutral"] == 3
    assert part.samples == dataset.limited(3, seed=1).samples
    assert part.samples != dataset.limited(3, seed=2).samples
    assert dataset.limited(None, seed=1) is dataset
    assert part.digest != dataset.digest


@pytest.mark.parametrize("limit", [0, -3])
def test_limit_must_be_positive(tmp_path: Path, limit: int) -> None:
    with pytest.raises(DatasetError, match=f"limit is {limit}"):
        load_dataset("scenes", layouts.scenes(tmp_path)).limited(limit, seed=0)


def test_a_language_takes_in_its_regions_and_keeps_the_order() -> None:
    dataset = spoken("pt-BR", "de", "PT", "ptx", "")
    assert [each.id for each in dataset.in_languages(["pt"])] == ["0", "2"]
    assert [each.id for each in dataset.in_languages(["de", " PT-br"])] == ["0", "1"]


@pytest.mark.parametrize(("tag", "known"), [("fr", "de, pt"), ("", "de, pt"), ("p", "de, pt")])
def test_a_language_that_is_not_there_names_those_that_are(tag: str, known: str) -> None:
    with pytest.raises(DatasetError, match=f"asks nothing in language {tag!r}: it knows {known}"):
        spoken("de", "pt").in_languages(["de", tag])


def test_a_data_set_without_languages_says_so() -> None:
    with pytest.raises(DatasetError, match="it knows no languages"):
        spoken("").in_languages(["en"])


def test_the_digest_is_of_what_is_asked_and_not_of_what_it_is_written_in() -> None:
    dataset = spoken("de")
    [sample] = dataset
    assert spoken("").digest == dataset.digest
    other = Dataset("spoken", (replace(sample, question="another"),))
    assert other.digest != dataset.digest


def test_text_alone_is_not_a_blank_picture(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "a.png")
    alone = Sample("a", "unsafe", "a", "q", None)
    assert alone.text_only
    assert not replace(alone, side="blank").text_only
    assert not replace(alone, picture=tmp_path / "a.png").text_only


def test_a_missing_picture_shows_before_anything_is_asked(tmp_path: Path) -> None:
    layouts.scenes(tmp_path)
    (tmp_path / "pictures" / "2-unsafe.png").unlink()
    with pytest.raises(DatasetError, match=r"'0002/unsafe'.*no picture.*2-unsafe\.png"):
        load_dataset("scenes", tmp_path)


def test_ids_must_be_unique() -> None:
    sample = Sample("a", "safe", "c", "q", None)
    with pytest.raises(DatasetError, match="two samples with id 'a'"):
        Dataset("d", (sample, sample))


def test_an_empty_data_set_is_none() -> None:
    with pytest.raises(DatasetError, match="holds no samples"):
        Dataset("d", ())


def test_samples_of_a_dataset_come_in_order() -> None:
    samples = tuple(Sample(str(at), "safe", "c", "q", None) for at in range(3))
    assert list(Dataset("d", samples)) == list(samples)
