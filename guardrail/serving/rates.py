"""How often a key may ask, and how it is told: by the headers that clients of the chat API know.

A rate is a sliding window: what was asked in the last one counts by the part of it that is not yet
over. In this process, or in a Redis for all replicas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.concurrency import run_in_threadpool

from guardrail.serving.failures import Failure
from guardrail.shared.connection import SharedRedis


class Rates:
    """Counts what each key asks.

    Args:
        shared: Where all replicas count; in this process alone without it.
    """

    def __init__(self, shared: SharedRedis | None = None) -> None:
        self._shared = shared
        storage: MemoryStorage | RedisStorage = MemoryStorage()
        if shared is not None:
            pool = shared.client.connection_pool
            storage = RedisStorage("redis://", pool, key_prefix=shared.index("rate"))
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def count(self, rate: str | None, key: str) -> Mapping[str, str]:
        """Counts a request; returns the headers that tell how many more there may be.

        Args:
            rate: How often may be asked; as often as one likes without.
            key: By whom.

        Raises:
            Failure: There have been too many (429).
            StoreError: The replicas' Redis failed.
        """
        if rate is None:
            return {}
        limits = parse_many(rate)
        if self._shared is None:
            return self._counted(limits, key)
        return await run_in_threadpool(self._counted_together, self._shared, limits, key)

    def _counted_together(
        self, shared: SharedRedis, limits: Sequence[RateLimitItem], key: str
    ) -> Mapping[str, str]:
        with shared.asking():
            return self._counted(limits, shared.name("rate", key))

    def _counted(self, limits: Sequence[RateLimitItem], whose: str) -> Mapping[str, str]:
        tightest: dict[str, str] = {}
        least = math.inf
        for limit in limits:
            admitted = self._limiter.hit(limit, whose)
            told, left, wait_s = self._told(limit, whose)
            if not admitted:
                raise Failure(
                    429,
                    f"this key may ask {limit} at most",
                    "rate_limited",
                    headers={**told, "retry-after": str(wait_s)},
                )
            if left < least:
                tightest, least = told, left
        return tightest

    def _told(self, limit: RateLimitItem, whose: str) -> tuple[dict[str, str], int, int]:
        stats = self._limiter.get_window_stats(limit, whose)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        told = {
            "x-ratelimit-limit-requests": str(limit.amount),
            "x-ratelimit-remaining-requests": str(stats.remaining),
            "x-ratelimit-reset-requests": f"{wait_s}s",
        }
        return told, stats.remaining, wait_s


def checked_rate(rate: str) -> str:
    """Returns a rate as it was written: `60/minute`, or several with `;` between.

    Raises:
        ValueError: It is none.
    """
    if not all(limit.amount > 0 for limit in parse_many(rate)):
        raise ValueError(f"{rate!r} lets nobody ask")
    return rate
