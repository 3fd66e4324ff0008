"""What the judge said of each request, kept in a file that a rerun goes on from.

A verdicts file is JSON Lines. Its first line says what was asked; a run that asks something else
does not go on from it. Each further line is a `Spoken`; a line that was cut off is dropped. It
knows neither models nor labels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.policy.evaluation import probability

KIND = "guardrail_verdicts"


@dataclass(frozen=True)
class Spoken:
    """A judge's word on one request, as it was before any calibration.

    Attributes:
        sample: The request, by its id in the data set.
        categories: P(harm) by category id, each in [0, 1]; empty where the judge failed.
        error: Why there is none; None where there is.
    """

    sample: str
    categories: Mapping[str, float]
    error: str | None = None


def spoken(
    sample: str, categories: Mapping[str, object], error: str | None, asked: Sequence[str]
) -> Spoken:
    """Returns what a judge said, or a failure where it left out, or garbled, what was asked.

    Args:
        sample: The request's id.
        categories: What came back.
        error: What failed, if the judge says so itself.
        asked: The ids of the categories asked about.
    """
    if error is None:
        numbers = {name: probability(categories.get(name)) for name in asked}
        known = {name: p for name, p in numbers.items() if p is not None}
        if len(known) == len(numbers) and known:
            return Spoken(sample, known)
        lost = next(iter(set(numbers) - set(known)), "")
        error = f"no probability for {lost}" if lost else "no category was judged"
    return Spoken(sample, {}, error)


_FIELDS = {each.name for each in fields(Spoken)}


class Verdicts:
    """Verdicts in memory and, if a path is given, in a file.

    Args:
        header: What they depend on: data set, weights, questions, batch; plain JSON.
        path: Where to append, and to go on from.
        resume: Whether verdicts in an existing file count; else it is written anew.

    Raises:
        DatasetError: The file is of another run, is no verdicts file, or cannot be used.
    """

    def __init__(
        self, header: Mapping[str, Any], *, path: Path | None = None, resume: bool = True
    ) -> None:
        self._spoken: dict[str, Spoken] = {}
        self._path = path
        if path is None:
            return
        try:
            lines = path.read_text("utf-8").splitlines() if resume and path.is_file() else []
            first = json.dumps({KIND: dict(header)})
            kept = self._known(lines, header, path) if lines else []
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, "\n".join([first, *kept]) + "\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"cannot use {str(path)!r} as verdicts file: {reason}") from error

    def _known(self, lines: Sequence[str], header: Mapping[str, Any], path: Path) -> list[str]:
        """Takes up what a file holds, and returns those of its lines that are whole."""
        written = _parsed(lines[0])
        before = written.get(KIND) if isinstance(written, dict) else None
        if not isinstance(before, dict):
            raise DatasetError(f"{str(path)!r} is no verdicts file: give another --output")
        now = json.loads(json.dumps(header))
        other = sorted(name for name in now if before.get(name) != now[name])
        if other:
            raise DatasetError(
                f"{str(path)!r} was written by a run with another {' and '.join(other)}: "
                "give another --output, or --no-resume to overwrite it"
            )
        whole = []
        for line in lines[1:]:
            found = _read(_parsed(line))
            if found is not None:
                self._spoken[found.sample] = found
                whole.append(line)
        return whole

    def add(self, spoken: Sequence[Spoken]) -> None:
        """Keeps verdicts, and appends them to the file in one write."""
        for each in spoken:
            self._spoken[each.sample] = each
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(asdict(each)) + "\n" for each in spoken))

    def get(self, sample: str) -> Spoken | None:
        """Returns the verdict on a sample, if it was judged."""
        return self._spoken.get(sample)

    def __len__(self) -> int:
        return len(self._spoken)


def _read(row: Any) -> Spoken | None:
    """Returns what a line holds; None if it is not whole, so that its sample is judged again."""
    if not isinstance(row, dict) or row.keys() != _FIELDS:
        return None
    sample, categories, error = row["sample"], row["categories"], row["error"]
    if not isinstance(sample, str) or not isinstance(categories, dict):
        return None
    if error is not None:
        return Spoken(sample, {}, str(error))
    found = spoken(sample, categories, None, list(categories))
    return None if found.error else found


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _replace(path: Path, text: str) -> None:
    """Writes a file in one go: a kill leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_text(text, "utf-8")
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
