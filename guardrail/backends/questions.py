"""Yes-or-no questions about a request or an answer, those first that may spare the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _never(p: Sequence[float]) -> bool:
    return False


@dataclass(frozen=True)
class Questions:
    """Questions that are put together, in one stage or in two.

    Attributes:
        first: What is asked at any rate; one or more.
        then: What is asked besides, unless that is spared.
        spares: Says by P(yes) of the first ones, in their order, whether the others are spared.
    """

    first: tuple[str, ...]
    then: tuple[str, ...] = ()
    spares: Callable[[Sequence[float]], bool] = _never

    @property
    def all(self) -> tuple[str, ...]:
        """Both stages' questions, in their order."""
        return *self.first, *self.then

    def going_on(self, first: Sequence[Sequence[float]]) -> list[int]:
        """Returns which rows the others are put to.

        Args:
            first: Of each row, P(yes) of the first questions.
        """
        if not self.then:
            return []
        return [row for row, p in enumerate(first) if not self.spares(p)]

    def put(self, ask: Callable[[Sequence[str]], Sequence[float]]) -> list[float]:
        """Puts them about one thing; returns P(yes) of what was asked.

        Args:
            ask: Returns P(yes) of questions.
        """
        first = [*ask(self.first)]
        return [*first, *ask(self.then)] if self.going_on([first]) else first
