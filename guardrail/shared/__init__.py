"""What several processes that serve one model share, in Redis. Needs the extra `redis`."""

from __future__ import annotations

from typing import Any

from guardrail.shared.connection import SharedRedis
from guardrail.shared.ledger import SharedLedger
from guardrail.shared.sessions import SharedSessions

__all__ = ["SharedLedger", "SharedRedis", "SharedSessions", "engine_options", "reached"]


def reached(url: str) -> SharedRedis:
    """Returns a Redis that answers and can be relied on.

    Raises:
        StoreError: It does not answer.
        SettingsError: The address is none, there is no key, or it may forget what it holds.
    """
    found = SharedRedis(url)
    found.check()
    return found


def engine_options(shared: SharedRedis | None) -> dict[str, Any]:
    """Returns the options of `SafeCoDe` by which its processes share what they remember."""
    if shared is None:
        return {}
    return {"sessions": SharedSessions(shared), "approval_ledger": SharedLedger(shared)}
