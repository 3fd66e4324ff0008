"""The latest decisions, kept compactly: as dictionaries, 10,000 of them take some 190 MB."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

MOST = 10_000
"""Decisions that are kept."""

LARGEST = 32 * 2**20
"""Bytes that they take, compressed."""

Place = tuple[str, str]
"""Whose request, and its id."""


class Shelf:
    """Keeps plain JSON, the newest in the place of the oldest where there is much.

    Args:
        most: Entries.
        largest: Bytes of them all, compressed. The newest is kept, however large it is.
    """

    def __init__(self, *, most: int = MOST, largest: int = LARGEST) -> None:
        self._most, self._largest = most, largest
        self._kept: OrderedDict[Place, bytes] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, place: Place, content: Mapping[str, Any]) -> None:
        """Keeps something at its place."""
        self.size -= len(self._kept.pop(place, b""))
        packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), level=1)
        self._kept[place] = packed
        self.size += len(packed)
        while len(self._kept) > self._most or (self.size > self._largest and len(self._kept) > 1):
            _, oldest = self._kept.popitem(last=False)
            self.size -= len(oldest)

    def get(self, place: Place) -> dict[str, Any] | None:
        """Returns what is kept at a place; None if nothing is, or no more."""
        packed = self._kept.get(place)
        if packed is None:
            return None
        found: dict[str, Any] = json.loads(zlib.decompress(packed))
        return found
