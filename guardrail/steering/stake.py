"""What is at stake before the first token: whether the model is about to refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guardrail.backends import Run
from guardrail.steering.refusal_mass import RefusalMass
from guardrail.steering.refusals import RefusalIndex

NO_REFUSAL_MASS = 0.05
"""Probability that a refusal follows under which no refusal is near."""


class Stake:
    """Knows of each request of a run whether a refusal is near; looked up once, where it is asked.

    Args:
        run: Prefilled, and not begun.
        index: Returns what refusals are made of.
    """

    def __init__(self, run: Run, index: Callable[[], RefusalIndex]) -> None:
        self._run, self._index = run, index
        self._mass: dict[int, float] = {}

    def near(self, rows: Sequence[int], *, live: Sequence[int]) -> list[bool]:
        """Returns whether a refusal is near, for each of `rows`.

        Args:
            rows: Requests, numbered as they were given.
            live: Those that the run has kept, in order; `rows` are among them.
        """
        if not self._run.guides:
            return [True] * len(rows)  # nobody can tell
        asked = [row for row in rows if row not in self._mass]
        if asked:
            real, _ = self._run.logits()
            mass = RefusalMass(self._run, self._index(), len(live))
            places = [list(live).index(row) for row in asked]
            [found] = mass.of([()] * len(live), [real], rows=places)
            self._mass.update(zip(asked, found, strict=True))
        return [self._mass[row] >= NO_REFUSAL_MASS for row in rows]
