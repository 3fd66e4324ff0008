"""The catalogue: every set by its name, somebody else's by the same door."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import find_entry, listing, load_dataset, names

from ..layouts import MINIATURES

MODULE = "guardrail.evaluation.datasets.catalogue"
GIVEN = Path(os.environ.get("GUARDRAIL_DATA", ""))
OURS = ("scenes", "own", "turning", "unseen")
"""Sets that nobody published elsewhere."""


THEIRS = """
from guardrail.evaluation import Dataset, Entry, Sample

def load(path):
    return Dataset("their-set", (Sample("1", "safe", "1", (path / "asks.txt").read_text(), None),))

ENTRY = Entry("one question", "safe only", "asks.txt", "https://example.org", "MIT", load)
"""

Publish = Callable[[str, str], None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Installs another package, `their_sets`, that publishes one data set."""

    def install(name: str, value: str) -> None:
        site = tmp_path / "site"
        told = site / "their_sets-1.0.dist-info"
        told.mkdir(parents=True)
        (site / "their_sets.py").write_text(THEIRS)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: their-sets\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text(f"[guardrail.datasets]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, "their_sets", raising=False)

    return install


def test_every_set_has_a_miniature_and_every_miniature_a_set() -> None:
    assert names() == sorted(MINIATURES)


@pytest.mark.parametrize("name", MINIATURES)
def test_a_miniature_is_read_from_its_layout(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(name, MINIATURES[name](tmp_path))
    assert dataset.name == name
    assert dataset.origin == str(tmp_path)
    told = set(re.findall(r"\b(?:safe|unsafe|neutral|blank|turning)\b", find_entry(name).sides))
    assert {each.side for each in dataset} == told


@pytest.mark.parametrize("name", MINIATURES)
def test_a_folder_of_something_else_is_one_sentence(name: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetError) as caught:
            load_dataset(name, folder)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", [name for name in MINIATURES if name not in OURS])
def test_published_sets_need_their_folder(name: str) -> None:
    with pytest.raises(DatasetError, match="give --data DIR"):
        load_dataset(name)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("msbench", "mssbench"), ("mm-safety-bench", "mm-safetybench"), ("scene", "scenes")],
)
def test_a_misspelt_name_is_corrected(given: str, meant: str) -> None:
    with pytest.raises(DatasetError, match=f"unknown data set '{given}' .did you mean '{meant}'"):
        load_dataset(given)


def test_a_name_is_taken_as_the_sets_write_it() -> None:
    assert find_entry("MM-SafetyBench") is find_entry("mm_safetybench")
    assert find_entry("OR_Bench") is find_entry("or-bench")


def test_no_name_at_all_is_told_apart_from_a_wrong_one() -> None:
    with pytest.raises(DatasetError, match="no data set is named: accepted are figstep"):
        find_entry(" ")


def test_another_packages_set_is_read_by_its_name(publish: Publish, tmp_path: Path) -> None:
    publish("their-set", "their_sets:ENTRY")
    (tmp_path / "asks.txt").write_text("Why?")
    dataset = load_dataset("their-set", tmp_path)
    assert [each.question for each in dataset] == ["Why?"]
    [row] = [each for each in listing() if each["name"] == "their-set"]
    assert row["layout"] == "asks.txt"
    assert row["hub"] is None


def test_two_packages_of_one_name_are_told_of(publish: Publish) -> None:
    publish("FigStep", "their_sets:ENTRY")
    with pytest.raises(DatasetError, match=r"several packages .*'figstep'.*their_sets"):
        find_entry("figstep")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("their_sets:ABSENT", "cannot be imported"),
        ("no_such_package:ENTRY", "cannot be imported"),
        ("their_sets:load", "is a function, expected an Entry"),
    ],
)
def test_a_package_that_publishes_no_set_is_named(publish: Publish, value: str, said: str) -> None:
    publish("broken", value)
    with pytest.raises(DatasetError, match=said) as caught:
        find_entry("broken")
    assert value in str(caught.value)
    assert find_entry("figstep")


def test_the_listing_is_plain_json_with_every_set() -> None:
    listed = json.loads(json.dumps(listing()))
    assert [each["name"] for each in listed] == names()
    for each in listed:
        assert all(each[key] for key in ("asks", "sides", "layout", "source", "licence"))
        assert "\n" not in each["asks"]
    assert [each["name"] for each in listed if each["shipped"]] == ["scenes", "turning", "unseen"]


def test_importing_the_catalogue_loads_neither_torch_nor_transformers_nor_pyarrow() -> None:
    script = f"import sys, {MODULE} as module; module.listing(); print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "transformers", "pyarrow", "huggingface_hub", "langchain_core"}
    assert heavy.isdisjoint(made.stdout.split())


@pytest.mark.parametrize("name", [name for name in MINIATURES if name not in OURS])
@pytest.mark.skipif(
    "GUARDRAIL_DATA" not in os.environ, reason="GUARDRAIL_DATA names no folder of published sets"
)
def test_the_real_set_is_read_where_it_is_at_hand(name: str) -> None:
    if not (GIVEN / name).is_dir():
        pytest.skip(f"no {name} in GUARDRAIL_DATA")
    dataset = load_dataset(name, GIVEN / name)
    assert len(dataset.samples) >= 50
    assert all(each.question.strip() for each in dataset)
