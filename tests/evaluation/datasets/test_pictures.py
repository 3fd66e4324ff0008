"""Embedded pictures become files: named by their bytes, written whole, and once."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets.pictures import cache_folder, kept, unpacked

PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.mark.parametrize(
    ("encoded", "suffix"), [(PNG, ".png"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"other", "")]
)
def test_a_picture_is_named_by_its_bytes(encoded: bytes, suffix: str, cache: Path) -> None:
    file = kept({"bytes": encoded, "path": "whatever.gif"}, "row")
    assert file.read_bytes() == encoded
    assert file.suffix == suffix
    assert cache in file.parents
    assert kept(encoded, "row") == file
    assert len(list(cache.rglob("*.*" if suffix else "*"))) >= 1


def test_the_same_bytes_are_written_once_and_nothing_is_left_behind(cache: Path) -> None:
    file = kept(PNG, "row")
    before = file.stat().st_mtime_ns
    os.utime(file, ns=(1, 1))
    kept(PNG, "another row")
    assert file.stat().st_mtime_ns == 1 != before
    assert [each for each in cache.rglob("*") if each.is_file()] == [file]


@pytest.mark.parametrize("value", [None, {}, {"bytes": None}, b"", "text", {"bytes": "text"}])
def test_what_holds_no_picture_is_named(value: object) -> None:
    with pytest.raises(DatasetError, match="row 3 holds no bytes of a picture"):
        kept(value, "row 3")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAIL_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("GUARDRAIL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/guardrail")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "guardrail"


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GUARDRAIL_CACHE", str(tmp_path / "file"))
    with pytest.raises(DatasetError, match="name another folder in GUARDRAIL_CACHE"):
        kept(PNG, "row")


def archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w") as content:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(PNG)
            content.addfile(member, io.BytesIO(PNG))
    return path


def test_an_archive_is_unpacked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    file = archive(tmp_path / "imgs.tar", "imgs/0.png")
    folder = unpacked(file)
    assert (folder / "imgs" / "0.png").read_bytes() == PNG
    (folder / "seen").write_text("")
    assert (unpacked(file) / "seen").is_file()
    archive(file, "imgs/0.png", "imgs/1.png")
    os.utime(file, ns=(5, 5))
    assert sorted(each.name for each in unpacked(file).rglob("*.png")) == ["0.png", "1.png"]


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DatasetError, match=r"imgs\.tar' cannot be unpacked"):
        unpacked(archive(tmp_path / "imgs.tar", "../../out.png"))
    assert not list(cache.rglob("*.png"))
    assert not list((cache / "unpacked").iterdir())


def test_a_torn_archive_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    file = archive(tmp_path / "imgs.tar", "imgs/0.png")
    file.write_bytes(file.read_bytes()[:520])
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        unpacked(file)
    assert not list((cache / "unpacked").iterdir())
