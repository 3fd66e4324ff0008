"""What the judge said of each request, kept in a file that a rerun goes on from.

A verdicts file is a `Journal`; each line is a `Spoken`. It knows neither models nor labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from guardrail.evaluation.journal import Journal
from guardrail.policy.evaluation import probability

KIND = "guardrail_verdicts"


@dataclass(frozen=True)
class Spoken:
    """A judge's word on one request, as it was before any calibration.

    Attributes:
        sample: The request, by its id in the data set.
        categories: P(harm) by category id, each in [0, 1]; empty where the judge failed.
        error: Why there is none; None where there is.
        unseen: Whether it was shown grey pictures in the place of the request's own.
    """

    sample: str
    categories: Mapping[str, float]
    error: str | None = None
    unseen: bool = False


def spoken(
    sample: str,
    categories: Mapping[str, object],
    error: str | None,
    asked: Sequence[str],
    *,
    unseen: bool = False,
) -> Spoken:
    """Returns what a judge said, or a failure where it left out, or garbled, what was asked.

    Args:
        sample: The request's id.
        categories: What came back.
        error: What failed, if the judge says so itself.
        asked: The ids of the categories asked about.
        unseen: Whether it was shown grey pictures.
    """
    if error is None:
        numbers = {name: probability(categories.get(name)) for name in asked}
        known = {name: p for name, p in numbers.items() if p is not None}
        if len(known) == len(numbers) and known:
            return Spoken(sample, known, unseen=unseen)
        lost = next(iter(set(numbers) - set(known)), "")
        error = f"no probability for {lost}" if lost else "no category was judged"
    return Spoken(sample, {}, error, unseen)


_FIELDS = {each.name for each in fields(Spoken)} - {"unseen"}


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
        self._spoken: dict[tuple[str, bool], Spoken] = {}
        self._journal = Journal("verdicts", KIND, header, path=path, resume=resume, take=self._take)

    def _take(self, row: Any) -> bool:
        found = _read(row)
        if found is not None:
            self._spoken[found.sample, found.unseen] = found
        return found is not None

    def add(self, spoken: Sequence[Spoken]) -> None:
        """Keeps verdicts, and appends them to the file in one write."""
        for each in spoken:
            self._spoken[each.sample, each.unseen] = each
        self._journal.append([_row(each) for each in spoken])

    def get(self, sample: str, *, unseen: bool = False) -> Spoken | None:
        """Returns the verdict on a sample, or on it with grey pictures, if it was judged so."""
        return self._spoken.get((sample, unseen))

    def __len__(self) -> int:
        return len(self._spoken)


def _row(spoken: Spoken) -> dict[str, Any]:
    """Returns a line; only one on grey pictures says that it is: they are asked for on demand."""
    row = asdict(spoken)
    if not spoken.unseen:
        del row["unseen"]
    return row


def _read(row: Any) -> Spoken | None:
    """Returns what a line holds; None if it is not whole, so that its sample is judged again."""
    if not isinstance(row, dict) or row.keys() - {"unseen"} != _FIELDS:
        return None
    if row.get("unseen", True) is not True:
        return None
    unseen = "unseen" in row
    sample, categories, error = row["sample"], row["categories"], row["error"]
    if not isinstance(sample, str) or not isinstance(categories, dict):
        return None
    if error is not None:
        return Spoken(sample, {}, str(error), unseen)
    found = spoken(sample, categories, None, list(categories), unseen=unseen)
    return None if found.error else found
