"""The tokens of a server that have been seen so far, numbered as they came.

A server shows the likeliest tokens and those that it is asked for, never its whole vocabulary. What
steers goes by numbers and bytes, so that this is vocabulary enough. It only grows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import overload

FILLERS = 1024
"""Numbers without a token, at the beginning: they hold the probability of all that is not seen."""

_KEPT = 65_536
"""Texts that come once and are known at a time, far more than answers under way."""

INCOMPLETE = "\ufffd"
"""What a server writes for bytes that are no whole character."""


class SeenTokens(Sequence[bytes | None]):
    """What each number spells; None for fillers and control tokens. Safe to use from threads."""

    def __init__(self) -> None:
        self._spelled: list[bytes | None] = [None] * FILLERS
        self._written: list[bytes] = [b""] * FILLERS
        self._ids: list[int | None] = [None] * FILLERS
        self._known: dict[bytes | int, int] = {}
        self._fragments: frozenset[int] = frozenset()
        self._once: dict[int, bytes] = {}
        self._last = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._spelled)

    @overload
    def __getitem__(self, at: int) -> bytes | None: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes | None] | None:
        return self._spelled[at]

    def number(self, written: bytes, *, server_id: int | None = None, control: bool = False) -> int:
        """Returns the number of a token, which is given one where it is new.

        Args:
            written: What it is written as.
            server_id: The server's own number of it, where that is known: then it is that by which
                it is told from others, and not what it is written as.
            control: Whether it is no text.
        """
        key: bytes | int = written if server_id is None else server_id
        with self._lock:
            if key not in self._known:
                self._written.append(written)
                self._ids.append(server_id)
                if not control and not _is_whole(written):
                    self._fragments |= {len(self._spelled)}
                self._spelled.append(None if control else written)
                self._known[key] = len(self._spelled) - 1
            return self._known[key]

    def once(self, written: bytes) -> int:
        """Returns a number for a text that will hardly come again: it is forgotten by and by."""
        with self._lock:
            self._last = self._last - 1 if self._last > -_KEPT else -1
            self._once[self._last] = written
            return self._last

    def of(self, server_id: int) -> int:
        """Returns the number of a token that has been seen, by the server's own number of it."""
        return self._known[server_id]

    def unseen(self, server_ids: Iterable[int]) -> list[int]:
        """Returns those of the server's own numbers that have not been seen, each once."""
        return [each for each in dict.fromkeys(server_ids) if each not in self._known]

    def is_control(self, number: int) -> bool:
        """Whether a token ends an answer or is otherwise no text."""
        return number >= 0 and self._spelled[number] is None

    def text(self, numbers: Sequence[int], *, control: bool = False) -> bytes:
        """Returns what tokens spell, or all that they are written as."""
        table: Sequence[bytes | None] = self._written if control else self._spelled
        return b"".join(
            (table[each] or b"") if each >= 0 else self._once.get(each, b"") for each in numbers
        )

    def server_id(self, number: int) -> int | None:
        """Returns the server's own number of a token; None if it has not told it."""
        return self._ids[number] if number >= 0 else None

    @property
    def fragments(self) -> frozenset[int]:
        """The tokens that are no characters by themselves."""
        return self._fragments


def _is_whole(spelled: bytes) -> bool:
    try:
        return INCOMPLETE not in spelled.decode()
    except UnicodeDecodeError:
        return False
