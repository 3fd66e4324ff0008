"""Rows out of files: each with its place, each fault one sentence."""

from contextlib import suppress
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import reading

from .. import layouts


def rows(placed: object) -> list[tuple[str, object]]:
    return [(where.rpartition("/")[2], dict(row)) for where, row in placed]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not readable JSON"),
        (b"[" * 100_000, "is not readable JSON"),
        (b"\xff\xfe", "is not readable JSON"),
        (b"3", "holds no list of samples"),
        (b"[3]", r"\[0\] is no map"),
        (b"{}", "holds no list of samples"),
    ],
)
def test_json_that_holds_no_rows_is_one_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as caught:
        list(reading.placed(reading.read_json(file), file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"), [([], "holds no map of samples"), ({"a": []}, r"\['a'\] is no map")]
)
def test_a_map_of_samples_is_told_from_a_list(content: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=said):
        list(reading.keyed(content, tmp_path / "list.json"))


def test_json_lines_are_numbered_and_empty_ones_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_bytes('\ufeff{"a": "1\u2028"}\r\n\r\n{"a": 2}'.encode())
    assert rows(reading.json_lines(file)) == [
        ("list.jsonl, line 1", {"a": "1\u2028"}),
        ("list.jsonl, line 3", {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}\n{", "line 2 is no JSON"), ("{}\n[]", "line 2 is no map"), ("\x00", "line 1 is no JSON")],
)
def test_a_bad_line_is_named(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text(content)
    with pytest.raises(DatasetError, match=said):
        list(reading.json_lines(file))


def test_csv_rows_may_span_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes('\ufeffa,b\r\n"one\r\ntwo",2\r\nx\u2028y,3\r\n'.encode())
    assert rows(reading.csv_rows(file, "a", "b")) == [
        ("list.csv, line 3", {"a": "one\ntwo", "b": "2"}),
        ("list.csv, line 4", {"a": "x\u2028y", "b": "3"}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1 has no column 'a'"),
        ("b\n1", "line 1 has no column 'a'"),
        ("a,b\n1", "line 2 does not have the 2 fields"),
        ("a\n1,2", "line 2 does not have the 1 fields"),
        ('a\n"1', "is not readable CSV"),
        ('a\n"1"2', "is not readable CSV"),
    ],
)
def test_bad_csv_is_one_sentence_with_its_line(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(content)
    with pytest.raises(DatasetError, match=said):
        list(reading.csv_rows(file, "a"))


def test_parquet_rows_go_on_over_files(tmp_path: Path) -> None:
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for file in files:
        layouts.write_parquet(file, [{"a": at, "b": "x"} for at in range(100)])
    found = rows(reading.parquet_rows(files, "a"))
    assert len(found) == 200
    assert found[99:101] == [("1.parquet, row 99", {"a": 99}), ("2.parquet, row 0", {"a": 0})]


def test_parquet_without_a_column_or_torn_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "list.parquet"
    layouts.write_parquet(file, [{"a": 1}])
    with pytest.raises(DatasetError, match=r"list\.parquet' has no column 'b'"):
        list(reading.parquet_rows([file], "a", "b"))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DatasetError, match=r"list\.parquet' is not readable Parquet") as caught:
        list(reading.parquet_rows([file], "a"))
    assert "\n" not in str(caught.value)


def test_without_pyarrow_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=r"pip install 'safecode-guardrail\[datasets\]'"):
        list(reading.parquet_rows([tmp_path / "list.parquet"], "a"))


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "x/../../a.png", "..\\a.png"])
def test_a_list_cannot_lead_out_of_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="leads out of the data set's folder"):
        reading.inside(tmp_path, name, "list[0]")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0.png"])
def test_a_name_that_no_file_can_have_is_no_traceback(name: str, tmp_path: Path) -> None:
    found = None
    with suppress(DatasetError):
        found = reading.inside(tmp_path, name, "list[0]")
    assert found is None or not found.is_file()


def test_a_name_inside_is_a_path_below(tmp_path: Path) -> None:
    assert reading.inside(tmp_path, "./a/b.png", "list[0]") == tmp_path / "a" / "b.png"


@pytest.mark.parametrize("value", [None, "", "  ", 3, ["a"]])
def test_a_field_without_words_is_named(value: object) -> None:
    with pytest.raises(DatasetError, match=r"list\[0\] has no text 'question'"):
        reading.text({"question": value}, "question", "list[0]")
