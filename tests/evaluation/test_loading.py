"""Data sets: what is read from each layout, and what is said when one is not as expected."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from guardrail.embedded import HELDOUT
from guardrail.errors import DatasetError
from guardrail.evaluation import DATASETS, Dataset, Sample, load_dataset

from . import layouts


def sides(dataset: Dataset) -> Counter[str]:
    return Counter(each.side for each in dataset)


def test_scenes_have_two_sides_neutral_questions_and_blank_twins(tmp_path: Path) -> None:
    dataset = load_dataset("scenes", layouts.scenes(tmp_path))
    assert sides(dataset) == {"safe": 4, "unsafe": 4, "neutral": 3, "blank": 2}
    assert dataset.vocabulary == ("cake", "fire", "fire extinguisher")
    first = dataset.samples[0]
    assert (first.id, first.cluster, first.wording) == ("0000/safe", "0000", "alarming")
    assert first.picture == tmp_path / "pictures" / "0-safe.png"
    [twin] = [each for each in dataset if each.id == "neutral/n0/blank"]
    assert twin.picture is None
    assert twin.question == "Describe this."


def test_mssbench_asks_each_query_about_both_pictures(tmp_path: Path) -> None:
    dataset = load_dataset("mssbench", layouts.mssbench(tmp_path))
    assert sides(dataset) == {"safe": 4, "unsafe": 4}
    assert dataset.clusters(("safe",)) == ("0", "1")
    assert {each.category for each in dataset} == {"property damage"}
    assert dataset.samples[0].picture == tmp_path / "chat" / "safe_0.jpg"


@pytest.mark.parametrize("inner", ["", "data"])
def test_mossbench_pairs_harmless_with_harmful_requests(tmp_path: Path, inner: str) -> None:
    dataset = load_dataset("mossbench", layouts.mossbench(tmp_path) / inner)
    assert sides(dataset) == {"safe": 2, "unsafe": 1}
    assert dataset.clusters(("safe", "unsafe")) == ("4", "8")
    assert {each.category for each in dataset} == {"type 1"}


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


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(DatasetError, match="did you mean 'mssbench'"):
        load_dataset("msbench")


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "scenes"])
def test_published_sets_need_their_folder(name: str) -> None:
    with pytest.raises(DatasetError, match="give --data"):
        load_dataset(name)


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_of_something_else_is_one_sentence(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetError) as caught:
            load_dataset(name, folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ("[" * 100_000, "not readable JSON"),
        ("{}", "no list of samples"),
        ("[3]", "is no map"),
        ('[{"question": "x"}]', "no text 'safe_image_path'"),
        ('[{"question": " ", "safe_image_path": "a"}]', "no text 'question'"),
        ("[]", "holds no samples"),
    ],
)
def test_malformed_scenes_are_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "combined.json").write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("scenes", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[], {"chat": 3}, {"chat": [{"queries": 3}]}, {}])
def test_malformed_mssbench_is_one_sentence(tmp_path: Path, content: object) -> None:
    layouts.write_json(tmp_path / "combined.json", content)
    with pytest.raises(DatasetError):
        load_dataset("mssbench", tmp_path)


def test_malformed_mossbench_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "images_information" / "information.json"
    for content in ([], {"4": 3}, {"4": {"image": "a.jpg"}}):
        layouts.write_json(file, content)
        with pytest.raises(DatasetError):
            load_dataset("mossbench", tmp_path)


def test_a_missing_picture_shows_before_anything_is_asked(tmp_path: Path) -> None:
    layouts.scenes(tmp_path)
    (tmp_path / "pictures" / "2-unsafe.png").unlink()
    with pytest.raises(DatasetError, match=r"'0002/unsafe'.*no picture.*2-unsafe\.png"):
        load_dataset("scenes", tmp_path)


def test_ids_must_be_unique(tmp_path: Path) -> None:
    layouts.scenes(tmp_path)
    rows = json.loads((tmp_path / "combined.json").read_text())
    layouts.write_json(tmp_path / "combined.json", [rows[0], rows[0]])
    with pytest.raises(DatasetError, match="two samples with id '0000/safe'"):
        load_dataset("scenes", tmp_path)


def test_samples_of_a_dataset_come_in_order() -> None:
    samples = tuple(Sample(str(at), "safe", "c", "q", None) for at in range(3))
    assert list(Dataset("d", samples)) == list(samples)


@pytest.mark.skipif(not (HELDOUT / "combined.json").is_file(), reason="no held-out set here")
def test_shipped_scenes_are_five_hundred_pairs_and_more() -> None:
    dataset = load_dataset("scenes")
    counts = sides(dataset)
    assert counts["safe"] == counts["unsafe"] >= 500
    assert counts["neutral"] >= 300
    assert {each.wording for each in dataset if each.side == "safe"} == {"alarming", "harmless"}


GIVEN = Path(os.environ.get("GUARDRAIL_DATA", "")) / "mossbench"


@pytest.mark.skipif(
    "GUARDRAIL_DATA" not in os.environ or not GIVEN.is_dir(),
    reason="GUARDRAIL_DATA names no folder that holds mossbench/",
)
def test_real_mossbench_is_read() -> None:
    dataset = load_dataset("mossbench", GIVEN)
    counts = sides(dataset)
    assert counts["safe"] >= 50
    assert counts["unsafe"] >= 50
    shared = {each.cluster for each in dataset if each.side == "unsafe"}
    assert shared <= {each.cluster for each in dataset if each.side == "safe"}
