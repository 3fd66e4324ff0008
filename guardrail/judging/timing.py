"""How long a part of some requests took, for their records."""

from __future__ import annotations

import time
from collections.abc import Sequence

from guardrail.judging.draft import Draft


class timed:
    """Adds the wall time of a with-block to a timing of every draft.

    Args:
        drafts: Whose records.
        name: Of the timing.
    """

    def __init__(self, drafts: Sequence[Draft], name: str) -> None:
        self._drafts, self._name = drafts, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        took = (time.perf_counter() - self._started) * 1000
        for draft in self._drafts:
            draft.add_time(self._name, took)
