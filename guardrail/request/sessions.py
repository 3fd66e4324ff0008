"""Where a conversation's earlier requests are kept, between one request and the next.

It keeps verdicts and ids, no words and no pictures. What they count for is the policy's business.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from guardrail.errors import SettingsError
from guardrail.policy.memory import Recollection

MOST_REQUESTS = 64
"""Requests of one session that are kept apart; older ones are kept as one."""

SESSION_LIFETIME_S = 3600.0
"""Seconds after its last request at which a session is forgotten."""


class SessionStore(Protocol):
    """Keeps sessions. Called from several threads; what it raises makes the verdict unavailable."""

    def recall(self, session: str) -> Sequence[Recollection]:
        """Returns the session's earlier requests, the oldest first; none if it is not known."""

    def remember(self, session: str, request: Recollection) -> None:
        """Adds a request to the session, in the place of the one that it replaces, if any."""


class SessionMemory:
    """Keeps sessions in this process: the latest ones, and none for longer than it may.

    Args:
        capacity: Most sessions; beyond it, the one that was idle longest is forgotten.
        ttl_s: Seconds after its last request at which a session is forgotten.
        clock: Seconds that only grow.

    Raises:
        SettingsError: A limit is not above 0.
    """

    def __init__(
        self,
        *,
        capacity: int = 10_000,
        ttl_s: float = SESSION_LIFETIME_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1 or ttl_s <= 0:
            raise SettingsError(
                f"capacity is {capacity!r} and ttl_s is {ttl_s!r}, expected 1 or more and above 0"
            )
        self._capacity, self._ttl_s, self._clock = capacity, ttl_s, clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, tuple[float, tuple[Recollection, ...]]] = OrderedDict()

    def recall(self, session: str) -> Sequence[Recollection]:
        """Returns the session's earlier requests, the oldest first."""
        with self._lock:
            self._forget()
            _, requests = self._sessions.get(session, (0.0, ()))
            return requests

    def remember(self, session: str, request: Recollection) -> None:
        """Adds a request to the session, in the place of the one that it replaces, if any."""
        with self._lock:
            self._forget()
            _, requests = self._sessions.pop(session, (0.0, ()))
            self._sessions[session] = (self._clock(), with_request(requests, request))
            while len(self._sessions) > self._capacity:
                self._sessions.popitem(last=False)

    def _forget(self) -> None:
        """Drops what is too old. INVARIANT: sessions stand in the order of their last request."""
        latest = self._clock() - self._ttl_s
        while self._sessions and next(iter(self._sessions.values()))[0] <= latest:
            self._sessions.popitem(last=False)


def with_request(
    requests: Sequence[Recollection], request: Recollection
) -> tuple[Recollection, ...]:
    """Returns a session's requests and one more, in the place of the one that it replaces, if any.

    One that is there already is not there twice.
    """
    gone = request.request_id, request.replaces
    return _folded((*[each for each in requests if each.request_id not in gone], request))


def _folded(requests: tuple[Recollection, ...]) -> tuple[Recollection, ...]:
    """Makes the two oldest one if there are too many: younger than it was, so never milder.

    It bears the id of the one that was refused, else of the one with the higher probability, and of
    the later one of equals: that is the one which later records name.
    """
    if len(requests) <= MOST_REQUESTS:
        return requests
    first, second, *rest = requests
    names = dict.fromkeys([*first.categories, *second.categories])
    highest = {
        name: max(first.categories.get(name, 0.0), second.categories.get(name, 0.0))
        for name in names
    }
    counts = max(second, first, key=_weight)
    return (Recollection(counts.request_id, highest, counts.refused), *rest)


def _weight(request: Recollection) -> tuple[bool, float]:
    return request.refused, max(request.categories.values(), default=0.0)
