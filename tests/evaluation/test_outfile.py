"""Files of options: whole or as they were, with their mode and links, and no trace of a check."""

from pathlib import Path

import pytest

from guardrail.errors import SettingsError
from guardrail.evaluation.outfile import check_place, write_out, write_whole


def test_a_check_leaves_no_trace_but_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.html"
    check_place(path, "--report")
    assert list(tmp_path.rglob("*")) == [path.parent]


def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, "after")
    assert link.is_symlink()
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640
    assert {each.name for each in tmp_path.iterdir()} == {"file", "link"}


def test_a_new_file_has_the_mode_that_any_new_file_has(tmp_path: Path) -> None:
    write_whole(tmp_path / "ours", "")
    (tmp_path / "theirs").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_what_utf8_has_no_way_to_write_is_escaped(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "a\ud800é")
    assert (tmp_path / "file").read_text("utf-8") == "a\\ud800é"


def test_a_place_that_cannot_be_is_one_sentence_that_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "inner"):
        with pytest.raises(SettingsError, match=r"--junit .* cannot be written"):
            check_place(path, "--junit")
        with pytest.raises(SettingsError, match=r"--junit .* cannot be written"):
            write_out(path, "", "--junit")
