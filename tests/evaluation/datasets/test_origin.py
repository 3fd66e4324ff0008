"""Where a set lies: a path, or the hub's cache; the hub itself is replaced by one that copies."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Gives a miniature for every id, in a folder named by the commit, as the hub's cache does."""

    def __init__(self, root: Path, write: Callable[[Path], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._source, self._cache = root / "there", root / "here"
        write(self._source)

    def snapshot_download(self, repo: str, **options: Any) -> str:
        self.asked.append({"repo": repo, **options})
        place = self._cache / COMMIT
        shutil.copytree(self._source, place, dirs_exist_ok=True)
        return str(place)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path, layouts.msts_hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    return made


def test_a_hub_id_is_fetched_and_read_and_the_commit_is_kept(hub: Hub) -> None:
    dataset = load_dataset("msts", "felfri/MSTS")
    assert len(dataset.samples) == 6
    assert dataset.origin == f"felfri/MSTS@{COMMIT}"
    assert hub.asked == [
        {
            "repo": "felfri/MSTS",
            "repo_type": "dataset",
            "revision": None,
            "allow_patterns": ["data/*.parquet"],
        }
    ]


@pytest.mark.parametrize("revision", ["v1.0", COMMIT, "refs/pr/2"])
def test_a_revision_follows_the_at_sign(hub: Hub, revision: str) -> None:
    load_dataset("msts", f"felfri/MSTS@{revision}")
    assert hub.asked[0]["revision"] == revision


def test_a_folder_of_that_name_is_read_before_the_hub_is_asked(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.msts(tmp_path / "felfri" / "MSTS")
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset("msts", "felfri/MSTS")
    assert hub.asked == []
    assert dataset.origin == "felfri/MSTS"


@pytest.mark.parametrize(
    "data", ["absent", "/absent/folder", "../a/b", "a/b/c", "a/b@", "", " ", "x" * 5000, "\0"]
)
def test_what_is_no_hub_id_is_not_asked_of_the_hub(hub: Hub, data: str) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        load_dataset("msts", data)
    assert hub.asked == []


def test_a_set_without_patterns_is_fetched_whole(hub: Hub) -> None:
    with pytest.raises(DatasetError, match="it is no MOSSBench"):
        load_dataset("mossbench", "somebody/copy")
    assert hub.asked[0]["allow_patterns"] is None


def refused(kind: type[Exception]) -> Exception:
    return kind("403\nno", response=httpx.Response(403, request=httpx.Request("GET", "https://x")))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LocalEntryNotFoundError("a long story"), "the hub cannot be reached"),
        (refused(GatedRepoError), "is gated: accept its terms"),
        (refused(RepositoryNotFoundError), "no data set of that name on the hub"),
        (ConnectionError("no\nroute"), "could not be fetched from the hub (no route)"),
        (OSError(28, "No space left on device"), "No space left"),
        (RuntimeError(), "could not be fetched from the hub (RuntimeError)"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DatasetError) as caught:
        load_dataset("msts", "felfri/MSTS@v1")
    assert said in str(caught.value)
    assert "'felfri/MSTS@v1'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_offline_the_hubs_own_client_ends_in_that_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DatasetError, match=r"not in the cache|could not be fetched"):
        load_dataset("msts", "felfri/MSTS")


def test_what_the_hubs_cache_holds_is_read_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo = tmp_path / "datasets--felfri--MSTS"
    blobs, snapshot = repo / "blobs", repo / "snapshots" / COMMIT
    layouts.msts_hub(tmp_path / "there")
    for at, file in enumerate(sorted((tmp_path / "there" / "data").iterdir())):
        (snapshot / "data").mkdir(parents=True, exist_ok=True)
        blobs.mkdir(exist_ok=True)
        shutil.move(file, blobs / str(at))
        (snapshot / "data" / file.name).symlink_to(blobs / str(at))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    dataset = load_dataset("msts", "felfri/MSTS")
    assert len(dataset.samples) == 6
    assert dataset.origin == f"felfri/MSTS@{COMMIT}"


def test_without_data_the_hub_id_is_proposed() -> None:
    with pytest.raises(
        DatasetError, match=r"give --data DIR \(or --data felfri/MSTS, from the hub"
    ):
        load_dataset("msts")
    with pytest.raises(DatasetError, match=r"give --data DIR$"):
        load_dataset("figstep")
