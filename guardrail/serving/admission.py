"""How many requests are under way at once: beyond that, clients are told to come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guardrail.serving.failures import COME_AGAIN_S, Failure


class Admission:
    """Counts requests that are under way. For one event loop.

    Args:
        most: At once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.under_way = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A with-block that is one of those under way.

        Raises:
            Failure: There are too many.
        """
        if self.under_way >= self._most:
            raise Failure(
                429,
                f"{self.under_way} requests are under way already",
                "busy",
                headers={"retry-after": str(COME_AGAIN_S)},
            )
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
