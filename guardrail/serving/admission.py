"""How many requests are under way at once: beyond that, clients are told to come again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from guardrail.serving.failures import COME_AGAIN_S, Failure
from guardrail.serving.traffic import Traffic


class Admission:
    """Counts requests that are under way. For one event loop.

    Args:
        most: At once.
        traffic: Takes the counts.
    """

    def __init__(self, most: int, traffic: Traffic | None = None) -> None:
        self._most, self._traffic = most, traffic or Traffic()
        self._traffic.limited(most)
        self.under_way = 0

    @contextmanager
    def admitted(self) -> Iterator[Callable[[], None]]:
        """A with-block that is one of those under way. Yields what to call once it is answered.

        Raises:
            Failure: There are too many.
        """
        if self.under_way >= self._most:
            self._traffic.turned_away()
            raise Failure(
                429,
                f"{self.under_way} requests are under way already",
                "busy",
                headers={"retry-after": str(COME_AGAIN_S)},
            )
        self.under_way += 1
        try:
            with self._traffic.under_way() as answering:
                yield answering
        finally:
            self.under_way -= 1
