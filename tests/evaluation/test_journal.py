"""A journal: what is whole goes on, what is cut off or unknown is dropped, others are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.journal import Journal

HEADER = {"samples": "abc", "batch": 16, "pair": (1, 2)}


def opened(
    path: Path | None, header: dict[str, Any] = HEADER, *, resume: bool = True
) -> tuple[Journal, list[Any]]:
    """A journal of rows with an `n`, and what it took from its file."""
    taken: list[Any] = []

    def take(row: Any) -> bool:
        known = isinstance(row, dict) and "n" in row
        if known:
            taken.append(row)
        return known

    journal = Journal("notes", "our_notes", header, path=path, resume=resume, take=take)
    return journal, taken


def test_rows_come_back_and_a_rerun_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "notes.jsonl"
    journal, taken = opened(path)
    assert taken == []
    journal.append([{"n": 1}, {"n": 2}])
    before = path.read_bytes()
    assert opened(path)[1] == [{"n": 1}, {"n": 2}]
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_is_cut_off_or_unknown_is_dropped_and_runs_into_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    journal, _ = opened(path)
    journal.append([{"n": 1}, {"m": 2}, {"n": 3}])
    path.write_bytes(path.read_bytes()[:-3])
    again, taken = opened(path)
    assert taken == [{"n": 1}]
    again.append([{"n": 4}])
    assert [json.loads(line) for line in path.read_text().splitlines()][1:] == [{"n": 1}, {"n": 4}]


def test_another_run_is_named_and_its_file_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    opened(path)[0].append([{"n": 1}])
    before = path.read_bytes()
    other = {**HEADER, "samples": "x", "batch": 1}
    with pytest.raises(DatasetError, match="another batch and samples: give another --output"):
        opened(path, other)
    assert path.read_bytes() == before
    assert opened(path, other, resume=False)[1] == []
    assert json.loads(path.read_text())["our_notes"]["batch"] == 1


@pytest.mark.parametrize("content", ["\n", "{}\n", "x", "[1]", '{"their_notes": {}}'])
def test_a_file_of_something_else_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(DatasetError, match="is no notes file: give another --output"):
        opened(path)
    assert path.read_text() == content


def test_the_option_that_named_the_file_is_the_one_to_give_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in ("{}\n", '{"our_notes": {"batch": 1}}\n'):
        path.write_text(content)
        with pytest.raises(DatasetError, match="give another --notes"):
            Journal(
                "notes",
                "our_notes",
                HEADER,
                path=path,
                resume=True,
                take=lambda _: True,
                option="--notes",
            )


def test_a_path_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\x00")
    for path in (tmp_path, tmp_path / "bytes", tmp_path / "bytes" / "below"):
        with pytest.raises(DatasetError, match=r"cannot use .* as notes file: ") as caught:
            opened(path)
        assert "\n" not in str(caught.value)


def test_without_a_path_nothing_is_kept() -> None:
    journal, taken = opened(None)
    journal.append([{"n": 1}])
    assert taken == []
