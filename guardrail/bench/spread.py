"""The median of what was measured several times, and its range."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some values, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarises at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """The median, and the range in brackets."""
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"
