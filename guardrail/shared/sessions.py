"""Sessions in a shared Redis: whichever process answers knows of the earlier requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from guardrail.errors import StoreError
from guardrail.policy.memory import Recollection
from guardrail.request.sessions import SESSION_LIFETIME_S, with_request
from guardrail.shared.connection import SharedRedis
from guardrail.shared.kept import Kept

_TRIES = 200
"""Of adding to a session: each that fails is one in which another process has added to it."""


class SharedSessions:
    """A `SessionStore` in a Redis. As `SessionMemory`, for several processes.

    Args:
        shared: Where they are kept.
        capacity: Most sessions; beyond it, the one that was idle longest is forgotten.
        ttl_s: Seconds after its last request at which a session is forgotten.

    Raises:
        SettingsError: A limit is not above 0.
    """

    def __init__(
        self, shared: SharedRedis, *, capacity: int = 100_000, ttl_s: float = SESSION_LIFETIME_S
    ) -> None:
        self._kept = Kept(shared, "session", capacity=capacity, ttl_s=ttl_s)

    def recall(self, session: str) -> Sequence[Recollection]:
        """Returns the session's earlier requests, the oldest first.

        Raises:
            StoreError: The Redis failed, or what it holds is no session.
        """
        return _read(self._kept.get(session))

    def remember(self, session: str, request: Recollection) -> None:
        """Adds a request to the session, in the place of the one that it replaces, if any.

        Raises:
            StoreError: The Redis failed, or too many processes add to this session at once.
        """
        for _ in range(_TRIES):
            before = self._kept.get(session)
            requests = with_request(_read(before), request)
            if self._kept.swap(session, before, _written(requests)):
                return
        raise StoreError("too many processes add to one session at once")


def _written(requests: Sequence[Recollection]) -> bytes:
    kept = [{**asdict(each), "categories": dict(each.categories)} for each in requests]
    return json.dumps(kept, separators=(",", ":")).encode()


def _read(found: bytes | None) -> tuple[Recollection, ...]:
    if found is None:
        return ()
    try:
        return tuple(Recollection(**each) for each in json.loads(found))
    except (ValueError, TypeError) as error:
        raise StoreError("what the Redis holds is no session") from error
