"""Where what was decided and escalated is kept: in this process, or where all replicas find it."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool

from guardrail.shared.connection import SharedRedis
from guardrail.shared.kept import Kept

CAPACITY = 10_000
"""Decisions that can be looked up again, and escalations that can be reviewed."""

LARGEST = 32 * 2**20
"""Bytes that those of one process take; as dictionaries, 10,000 decisions took some 190 MB."""

LIFETIME_S = 3600.0
"""Seconds for which those that are shared are kept; so long an approval counts."""


class Shelf(Protocol):
    """Keeps values by name: the latest ones."""

    async def get(self, name: str) -> bytes | None:
        """Returns a value; None where there is none."""

    async def put(self, name: str, value: bytes) -> None:
        """Keeps a value, in the place of any other."""

    async def swap(self, name: str, before: bytes | None, value: bytes) -> bool:
        """Keeps a value in the place of `before`; returns whether that was what stood there."""


class OwnShelf:
    """Keeps values in this process. For one event loop.

    Args:
        capacity: Most of them; beyond it, the oldest is forgotten.
        largest: Bytes of them all. The newest is kept, however large it is.
    """

    def __init__(self, *, capacity: int = CAPACITY, largest: int = LARGEST) -> None:
        self._capacity, self._largest = capacity, largest
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._values)

    async def get(self, name: str) -> bytes | None:
        """Returns a value; None where there is none."""
        return self._values.get(name)

    async def put(self, name: str, value: bytes) -> None:
        """Keeps a value, in the place of any other."""
        self.size += len(value) - len(self._values.pop(name, b""))
        self._values[name] = value
        while len(self) > self._capacity or (self.size > self._largest and len(self) > 1):
            _, oldest = self._values.popitem(last=False)
            self.size -= len(oldest)

    async def swap(self, name: str, before: bytes | None, value: bytes) -> bool:
        """Keeps a value in the place of `before`; returns whether that was what stood there."""
        if self._values.get(name) != before:
            return False
        await self.put(name, value)
        return True


class SharedShelf:
    """Keeps values in a Redis, for all replicas.

    Args:
        shared: Which one.
        kind: What they are.
        capacity: Most of them; beyond it, the oldest is forgotten.
    """

    def __init__(self, shared: SharedRedis, kind: str, *, capacity: int = CAPACITY) -> None:
        self._kept = Kept(shared, kind, capacity=capacity, ttl_s=LIFETIME_S)

    async def get(self, name: str) -> bytes | None:
        """Returns a value; None where there is none.

        Raises:
            StoreError: The Redis failed.
        """
        return await run_in_threadpool(self._kept.get, name)

    async def put(self, name: str, value: bytes) -> None:
        """Keeps a value, in the place of any other.

        Raises:
            StoreError: The Redis failed.
        """
        await run_in_threadpool(self._kept.put, name, value)

    async def swap(self, name: str, before: bytes | None, value: bytes) -> bool:
        """Keeps a value in the place of `before`; returns whether that was what stood there.

        Raises:
            StoreError: The Redis failed.
        """
        return await run_in_threadpool(self._kept.swap, name, before, value)


def packed(value: Mapping[str, Any]) -> bytes:
    """Returns plain JSON in few bytes."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), level=1)


def unpacked(value: bytes) -> dict[str, Any]:
    """Returns what `packed` made small."""
    found: dict[str, Any] = json.loads(zlib.decompress(value))
    return found
