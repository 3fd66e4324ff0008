"""The ledger of used-up approvals in a shared Redis: an approval counts once, in any process."""

from __future__ import annotations

import time
from collections.abc import Callable

from guardrail.shared.connection import SharedRedis

_LATE_S = 120.0  # how far another machine's clock may be behind


class SharedLedger:
    """An `ApprovalLedger` in a Redis.

    Args:
        shared: Where it is kept.
        clock: Seconds since the epoch.
    """

    def __init__(self, shared: SharedRedis, *, clock: Callable[[], float] = time.time) -> None:
        self._shared, self._clock = shared, clock

    def use(self, token: str, until: float) -> bool:
        """Takes a token down, in one step; returns whether it was not there yet.

        Raises:
            StoreError: The Redis failed.
        """
        kept_ms = max(1, round((until + _LATE_S - self._clock()) * 1000))
        with self._shared.asking() as client:
            name = self._shared.name("approval", token)
            return client.set(name, b"1", nx=True, px=kept_ms) is not None
