"""Lines of JSON kept in a file that a rerun goes on from, whatever they hold.

The first line says what was run; a run with other settings does not go on from it. A line that was
cut off, or that its owner does not know, is dropped, so that what it held is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.evaluation.outfile import write_whole


class Journal:
    """A file that is gone on from and appended to; without a path, nothing is kept.

    Args:
        kind: What its lines are, for errors: `results`.
        key: The only key of its first line, which tells it from other files.
        header: What is run; plain JSON.
        path: The file.
        resume: Whether lines of an existing file count; else it is written anew.
        take: Called with each line's JSON; returns whether it was one, and is kept.
        option: The command line's word for the path, for errors.

    Raises:
        DatasetError: The file is of another run, is no such file, or cannot be used.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        header: Mapping[str, Any],
        *,
        path: Path | None,
        resume: bool,
        take: Callable[[Any], bool],
        option: str = "--output",
    ) -> None:
        self._path = path
        if path is None:
            return
        try:
            if resume and path.is_file() and path.stat().st_size:
                first, *lines = path.read_text("utf-8").splitlines()
                _check(_parsed(first), kind, key, header, path, option)
                kept = [line for line in lines if take(_parsed(line))]
                # A line that was cut off must not run into the next one.
                write_whole(path, "\n".join([first, *kept]) + "\n")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps({key: dict(header)}) + "\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"cannot use {str(path)!r} as {kind} file: {reason}") from error

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rows in one write."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(each) + "\n" for each in rows))


def _check(
    first: Any, kind: str, key: str, header: Mapping[str, Any], path: Path, option: str
) -> None:
    before = first.get(key) if isinstance(first, dict) else None
    if not isinstance(before, dict):
        raise DatasetError(f"{str(path)!r} is no {kind} file: give another {option}")
    now = json.loads(json.dumps(header))
    other = sorted(name for name in now if before.get(name) != now[name])
    if other:
        raise DatasetError(
            f"{str(path)!r} was written by a run with another {' and '.join(other)}: "
            f"give another {option}, or --no-resume to overwrite it"
        )


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
