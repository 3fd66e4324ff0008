"""Decisions over time: stretches of one length, counted by action and by deciding category."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from guardrail.errors import AuditError

_LENGTHS = [
    timedelta(seconds=seconds)
    for seconds in (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400)
]


@dataclass(frozen=True)
class Bucket:
    """The decisions of one stretch of time, by action and by deciding category."""

    start: str
    actions: dict[str, int]
    categories: dict[str, int]

    @property
    def total(self) -> int:
        """How many decisions."""
        return sum(self.actions.values())


@dataclass(frozen=True)
class Stretches:
    """Stretches of one length that together hold a time from `start` to `last`."""

    start: datetime
    last: datetime
    length: timedelta

    @classmethod
    def over(cls, first: str, last: str, *, most: int) -> Stretches:
        """Returns at most `most` stretches that begin on a round time.

        Args:
            first: The first time, as records spell it.
            last: The last time.
            most: How many there may be.

        Raises:
            AuditError: They are no times.
        """
        begun, ended = _moment(first), _moment(last)
        needed = (ended - begun) / max(most - 1, 1)
        length = next((each for each in _LENGTHS if each >= needed), None)
        if length is None:
            length = timedelta(days=math.ceil(needed / timedelta(days=1)))
        seconds = length.total_seconds()
        start = math.floor(begun.timestamp() / seconds) * seconds
        return cls(datetime.fromtimestamp(start, timezone.utc), ended, length)

    @property
    def digits(self) -> int:
        """How much of a time tells its stretch: whole hours, minutes or seconds are counted by
        SQLite, and put together here.
        """
        if self.length >= timedelta(hours=1):
            return 13
        return 16 if self.length >= timedelta(minutes=1) else 19

    def filled(self, rows: Iterable[tuple[str, str, str, int]]) -> list[Bucket]:
        """Returns a bucket per stretch, none left out.

        Args:
            rows: The first `digits` of a time, action, category, and how many.
        """
        places = int((self.last - self.start) / self.length) + 1
        found = [Bucket(_spelled(self.start + at * self.length), {}, {}) for at in range(places)]
        for moment, action, category, count in rows:
            begun = _moment(moment + "0000-01-01T00:00:00Z"[len(moment) :])
            place = int((begun - self.start) / self.length)
            bucket = found[min(max(place, 0), places - 1)]
            bucket.actions[action] = bucket.actions.get(action, 0) + count
            bucket.categories[category] = bucket.categories.get(category, 0) + count
        return found


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise AuditError(f"{text!r} in the audit log is no time: verify it") from error


def _spelled(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
