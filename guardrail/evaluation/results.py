"""What was answered: one record per system and sample, kept in a file that a rerun goes on from.

A results file is JSON Lines. Its first line says what was run; a run with other settings does not
go on from it. Each further line is a `Record`; a line that was cut off is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError


@dataclass(frozen=True)
class Record:
    """One answered request.

    Attributes:
        answer: What came back: the model's words, or the policy's.
        tokens: The generated token ids; empty if the request was blocked.
        finish: The decision's finish reason, such as `stop` or `blocked`.
        p_unsafe: The verdict's largest probability; None if nobody judged.
        label: The verdict's label; None if nobody judged.
        seconds: Its share of its batch's wall time.
    """

    system: str
    sample: str
    answer: str
    tokens: tuple[int, ...]
    finish: str
    action: str
    label: str | None
    p_unsafe: float | None
    seconds: float


_FIELDS = {each.name for each in fields(Record)}


class Results:
    """Records in memory and, if a path is given, in a file.

    Args:
        header: What is run: data set, model, policies, seed; plain JSON.
        path: Where to append, and to go on from.
        resume: Whether records in an existing file count; else it is written anew.
        option: The command line's word for the path, for what is said when it cannot be used.

    Raises:
        DatasetError: The file was written by another run, is no results file, or cannot be opened.
    """

    def __init__(
        self,
        header: Mapping[str, Any],
        *,
        path: Path | None = None,
        resume: bool = True,
        option: str = "--output",
    ) -> None:
        self._option = option
        self._records: dict[tuple[str, str], Record] = {}
        self._path = path
        if path is None:
            return
        try:
            if resume and path.is_file() and path.stat().st_size:
                self._go_on(path, header)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"guardrail_eval": dict(header)}) + "\n", "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"cannot use {str(path)!r} as results file: {reason}") from error

    def _go_on(self, path: Path, header: Mapping[str, Any]) -> None:
        first, *lines = path.read_text("utf-8").splitlines()
        written = _parsed(first)
        if not isinstance(written, dict) or "guardrail_eval" not in written:
            raise DatasetError(f"{str(path)!r} is no results file: give another {self._option}")
        before = written["guardrail_eval"]
        other = [
            name for name in header if before.get(name) != json.loads(json.dumps(header[name]))
        ]
        if other:
            raise DatasetError(
                f"{str(path)!r} was written by a run with another {' and '.join(sorted(other))}: "
                f"give another {self._option}, or --no-resume to overwrite it"
            )
        whole = [json.dumps(written)]
        for line in lines:
            row = _parsed(line)
            if isinstance(row, dict) and row.keys() == _FIELDS:
                self._keep(Record(**{**row, "tokens": tuple(row["tokens"])}))
                whole.append(line)
        # A line that was cut off must not run into the next one.
        path.write_text("\n".join(whole) + "\n", "utf-8")

    def add(self, records: Sequence[Record]) -> None:
        """Keeps records, and appends them to the file in one write."""
        for record in records:
            self._keep(record)
        if self._path is not None:
            lines = "".join(json.dumps(asdict(each)) + "\n" for each in records)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)

    def get(self, system: str, sample: str) -> Record | None:
        """Returns a system's record of a sample, if it was answered."""
        return self._records.get((system, sample))

    def __len__(self) -> int:
        return len(self._records)

    def _keep(self, record: Record) -> None:
        self._records[record.system, record.sample] = record


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
