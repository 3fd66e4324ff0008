"""How long a part of some requests took, for their records."""

from __future__ import annotations

import time
from collections.abc import Sequence

from guardrail.steering.row import Row


class timed:
    """Adds the wall time of a with-block to a timing of every row.

    Args:
        rows: Whose records.
        name: Of the timing.
    """

    def __init__(self, rows: Sequence[Row], name: str) -> None:
        self._rows, self._name = rows, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        took = (time.perf_counter() - self._started) * 1000
        for row in self._rows:
            row.add_time(self._name, took)
