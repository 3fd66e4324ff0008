"""The tokens of a server that have been seen so far, numbered as they came.

A server shows the likeliest tokens and those that it is asked for, never its whole vocabulary. What
steers goes by numbers and bytes, so that this is vocabulary enough. It only grows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import overload

FILLERS = 1024
"""Numbers without a token, at the beginning: they hold the probability of all that is not seen."""


class SeenTokens(Sequence[bytes | None]):
    """What each number spells; None for fillers and control tokens. Safe to use from threads."""

    def __init__(self) -> None:
        self._spelled: list[bytes | None] = [None] * FILLERS
        self._written: list[bytes] = [b""] * FILLERS
        self._ids: list[int | None] = [None] * FILLERS
        self._known: dict[tuple[bytes, int | None], int] = {}
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
        """Returns the number of a token.

        Args:
            written: What it is written as.
            server_id: The server's own number of it, where that is known.
            control: Whether it is no text.
        """
        key = written, server_id
        with self._lock:
            if key not in self._known:
                self._known[key] = len(self._spelled)
                self._written.append(written)
                self._ids.append(server_id)
                self._spelled.append(None if control else written)
            return self._known[key]

    def is_control(self, number: int) -> bool:
        """Whether a token ends an answer or is otherwise no text."""
        return self._spelled[number] is None

    def text(self, numbers: Sequence[int], *, control: bool = False) -> bytes:
        """Returns what tokens spell, or all that they are written as."""
        table: Sequence[bytes | None] = self._written if control else self._spelled
        return b"".join(table[each] or b"" for each in numbers)

    def server_id(self, number: int) -> int | None:
        """Returns the server's own number of a token."""
        return self._ids[number]

    def fragments(self) -> frozenset[int]:
        """Returns the tokens that are no characters by themselves."""
        return frozenset(
            at for at, each in enumerate(self._spelled) if each is not None and not _whole(each)
        )


def _whole(spelled: bytes) -> bool:
    try:
        spelled.decode()
    except UnicodeDecodeError:
        return False
    return True
