"""Kept verdicts: what is whole goes on, what is not is judged again, another run's is refused."""

import json
import math
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.calibration.verdicts import Spoken, Verdicts, spoken

HEADER = {"samples": "abc", "batch": 16}
FIRST, SECOND = Spoken("a", {"harm": 0.25}), Spoken("b", {}, "the judge failed")


def test_verdicts_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "verdicts.jsonl"
    Verdicts(HEADER, path=path).add([FIRST, SECOND])
    again = Verdicts(HEADER, path=path)
    assert len(again) == 2
    assert again.get("a") == FIRST
    assert again.get("b") == SECOND
    assert again.get("c") is None
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("cut", range(1, 64, 7))
def test_a_line_that_was_cut_off_is_dropped(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    Verdicts(HEADER, path=path).add([FIRST, SECOND])
    path.write_bytes(path.read_bytes()[:-cut])
    again = Verdicts(HEADER, path=path)
    assert again.get("a") == FIRST
    again.add([SECOND])
    assert Verdicts(HEADER, path=path).get("b") == SECOND


@pytest.mark.parametrize(
    "line",
    [
        '{"sample": "a", "categories": {"harm": NaN}, "error": null}',
        '{"sample": "a", "categories": {"harm": 2}, "error": null}',
        '{"sample": "a", "categories": {"harm": "0.5"}, "error": null}',
        '{"sample": "a", "categories": {}, "error": null}',
        '{"sample": "a", "categories": [0.5], "error": null}',
        '{"sample": 1, "categories": {"harm": 0.5}, "error": null}',
        '{"sample": "a", "categories": {"harm": 0.5}}',
        "[]",
    ],
)
def test_lines_that_are_no_verdicts_are_judged_again(line: str, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    Verdicts(HEADER, path=path)
    with path.open("a") as file:
        file.write(line + "\n")
    assert len(Verdicts(HEADER, path=path)) == 0
    assert len(path.read_text().splitlines()) == 1


def test_the_last_of_two_verdicts_on_a_sample_counts(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    Verdicts(HEADER, path=path).add([FIRST, Spoken("a", {"harm": 0.75})])
    again = Verdicts(HEADER, path=path)
    assert len(again) == 1
    assert again.get("a") == Spoken("a", {"harm": 0.75})


def test_another_run_is_not_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    Verdicts(HEADER, path=path).add([FIRST])
    with pytest.raises(DatasetError, match="another batch and samples"):
        Verdicts({"samples": "x", "batch": 1}, path=path)
    assert len(Verdicts(HEADER, path=path)) == 1
    assert len(Verdicts({**HEADER, "batch": 1}, path=path, resume=False)) == 0


@pytest.mark.parametrize("content", ["", "\n", "{}\n", '{"guardrail_eval": {}}\n', "[1]\n", "x"])
def test_a_file_that_is_something_else_is_not_overwritten(content: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    if not content:
        assert len(Verdicts(HEADER, path=path)) == 0
        return
    with pytest.raises(DatasetError, match="is no verdicts file"):
        Verdicts(HEADER, path=path)
    assert path.read_text() == content


def test_a_folder_or_bytes_are_one_clear_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, binary, tmp_path / "binary" / "below"):
        with pytest.raises(DatasetError, match="cannot use"):
            Verdicts(HEADER, path=path)


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.1, math.inf, None, "0.5", True])
def test_what_is_no_probability_is_unavailable_and_never_safe(p: object) -> None:
    found = spoken("a", {"harm": p, "offence": 0.1}, None, ["harm", "offence"])
    assert found == Spoken("a", {}, "no probability for harm")
    assert json.dumps(found.error)


def test_a_category_left_out_is_unavailable_and_one_too_many_is_left_out() -> None:
    assert spoken("a", {}, None, ["harm"]).error == "no probability for harm"
    assert spoken("a", {"harm": 0.5, "x": 1.0}, None, ["harm"]).categories == {"harm": 0.5}
    assert spoken("a", {"harm": 0.5}, "too late", ["harm"]) == Spoken("a", {}, "too late")
