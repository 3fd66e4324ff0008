"""What loaders share: rows out of JSON, JSON lines, CSV and Parquet, each with where it stands.

Every fault becomes one `DatasetError` sentence with file and place. It knows no data set.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from guardrail.errors import DatasetError

Row = Mapping[str, Any]
Placed = tuple[str, Row]
"""Where a row stands, for errors, and the row."""


def folder_of(path: Path) -> Path:
    """Returns the path if it is a folder.

    Raises:
        DatasetError: It is not.
    """
    if not path.is_dir():
        raise DatasetError(f"there is no folder {str(path)!r}: give the data set's own folder")
    return path


def first_file(root: Path, *candidates: str) -> Path | None:
    """Returns the first of the candidates, relative to `root`, that is a file; None without any."""
    return next((root / name for name in candidates if (root / name).is_file()), None)


def read_json(file: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
        DatasetError: It is not there, or no JSON.
    """
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file {str(file)!r}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{str(file)!r} is not readable JSON ({_reason(error)})") from error


def placed(content: Any, file: Path, *, of: str = "") -> Iterator[Placed]:
    """Yields the rows of a list.

    Args:
        content: What was read.
        file: Where from.
        of: The list's own key in the file, if it has one.

    Raises:
        DatasetError: It is no list, or a row is no map.
    """
    name = f"{file}: {of}" if of else str(file)
    if not isinstance(content, list):
        raise DatasetError(f"{name!r} holds no list of samples")
    for at, row in enumerate(content):
        yield _placed(f"{name}[{at}]", row)


def keyed(content: Any, file: Path) -> Iterator[tuple[str, Placed]]:
    """Yields the rows of a map of samples, each with its key.

    Raises:
        DatasetError: It is no map, or a row is none.
    """
    if not isinstance(content, Mapping):
        raise DatasetError(f"{str(file)!r} holds no map of samples")
    for key, row in content.items():
        yield key, _placed(f"{file}[{key!r}]", row)


def _placed(where: str, row: Any) -> Placed:
    if not isinstance(row, Mapping):
        raise DatasetError(f"{where} is no map, expected one with keys and values")
    return where, row


def json_lines(file: Path) -> Iterator[Placed]:
    """Yields the rows of a file with one JSON map a line; empty lines do not count.

    Raises:
        DatasetError: The file cannot be read, or a line is no JSON map.
    """
    for number, line in enumerate(_text_of(file).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{where} is no JSON ({error})") from error
        yield _placed(where, row)


def csv_rows(file: Path, *needed: str) -> Iterator[Placed]:
    """Yields the rows of a CSV file by its header.

    Args:
        file: UTF-8, with or without a byte order mark.
        *needed: Columns that must be there.

    Raises:
        DatasetError: The file cannot be read, lacks a column, or a row has too many or too few.
    """
    reader = csv.DictReader(io.StringIO(_text_of(file), newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        missing = [name for name in needed if name not in header]
        if missing:
            raise DatasetError(f"{file}, line 1 has no column {missing[0]!r}")
        for row in reader:
            where = f"{file}, line {reader.line_num}"
            if None in row or None in row.values():
                raise DatasetError(f"{where} does not have the {len(header)} fields of the header")
            yield where, row
    except csv.Error as error:
        raise DatasetError(
            f"{file}, line {reader.line_num} is not readable CSV ({error})"
        ) from error


def parquet_rows(files: Sequence[Path], *columns: str) -> Iterator[Placed]:
    """Yields the rows of Parquet files, a group of rows at a time.

    Args:
        files: In this order.
        *columns: What is read; pictures are maps of `bytes` and `path`, as the hub writes them.

    Raises:
        DatasetError: pyarrow is missing, or a file cannot be read or lacks a column.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            "Parquet needs the package pyarrow: pip install 'safecode-guardrail[datasets]'"
        ) from error
    for file in files:
        try:
            with pyarrow.parquet.ParquetFile(file) as content:
                missing = [name for name in columns if name not in content.schema_arrow.names]
                if missing:
                    raise DatasetError(f"{str(file)!r} has no column {missing[0]!r}")
                number = 0
                for batch in content.iter_batches(batch_size=64, columns=list(columns)):
                    for row in batch.to_pylist():
                        yield f"{file}, row {number}", row
                        number += 1
        except (OSError, pyarrow.ArrowException) as error:
            raise DatasetError(
                f"{str(file)!r} is not readable Parquet ({_reason(error)})"
            ) from error


def text(row: Row, key: str, where: str) -> str:
    """Returns a field that must hold words.

    Raises:
        DatasetError: It holds none.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(f"{where} has no text {key!r}")
    return value


def number(row: Row, key: str, where: str) -> str:
    """Returns what a row is known by, a number or a word.

    Raises:
        DatasetError: It has none.
    """
    found = word(row, key)
    if not found:
        raise DatasetError(f"{where} has no {key!r}")
    return found


def word(row: Row, key: str) -> str:
    """Returns a field that may be missing, as text without white space around it."""
    value = row.get(key)
    return "" if value is None else str(value).strip()


def texts(row: Row, key: str, where: str) -> tuple[str, ...]:
    """Returns a field that may be missing, and else holds a list of texts.

    Raises:
        DatasetError: It holds something else.
    """
    value = row.get(key, ())
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise DatasetError(f"{where} has {key} {value!r}, expected a list of texts")
    return tuple(value)


def inside(root: Path, name: str, where: str) -> Path:
    """Returns the path of a file that a list names, which must lie in the data set's own folder.

    Raises:
        DatasetError: The name leads out of the folder, or can be no file's name.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise DatasetError(f"{where} names {name!r}, which leads out of the data set's folder")
    path = root.joinpath(*parts.parts)
    try:
        path.is_file()
    except (OSError, ValueError) as error:  # too long, or with characters that no name can have
        raise DatasetError(f"{where} names {name[:80]!r}, which can be no file") from error
    return path


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file {str(file)!r}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{str(file)!r} is not readable text ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
