"""The Redis that several processes share: how it is reached, and by which names things lie there.

INVARIANT: no name of a tenant, session or request goes there in plain text, and no password out of
here: an address is shown as host, port and database.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from guardrail.errors import SettingsError, StoreError
from guardrail.judging.approvals import KEY_VARIABLE

URL_VARIABLE = "GUARDRAIL_REDIS"
"""The environment variable that may hold the address, so that no list of processes shows it."""

_TIMEOUT_S = 1.0  # of connecting, and of each answer; what fails is tried once more
_SHORTEST_KEY = 16


class SharedRedis:
    """One Redis, shared by all processes that are given its address and the same key.

    Safe to use from several threads. Nothing is asked of it before it is used.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database if any.
        key: What names are made unreadable with, 16 bytes or more; by default that of
            `GUARDRAIL_APPROVAL_KEY`.
        prefix: What every name begins with. Its braces keep all of them on one node of a cluster.

    Raises:
        SettingsError: The address is none, there is no key, or the package redis is missing.
    """

    def __init__(
        self, url: str, *, key: str | bytes | None = None, prefix: str = "{guardrail}:"
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"sharing needs {error.name}: pip install 'safecode-guardrail[redis]'"
            ) from error
        given = key if key is not None else os.environ.get(KEY_VARIABLE, "")
        secret = given.encode() if isinstance(given, str) else given
        if len(secret) < _SHORTEST_KEY:
            raise SettingsError(
                f"what shares a Redis shares a key too: set {KEY_VARIABLE} to {_SHORTEST_KEY} "
                "characters or more, the same everywhere"
            )
        self._naming = hmac.digest(secret, b"guardrail-shared/names", "sha256")
        self._prefix = prefix
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        try:
            self.client: Any = redis.Redis.from_url(
                url,
                socket_connect_timeout=_TIMEOUT_S,
                socket_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),
            )
        except (ValueError, TypeError):
            # Not the cause: it may quote the address, and so the password.
            raise SettingsError(
                "the address of the Redis is none, expected redis://HOST:PORT/DATABASE"
            ) from None
        known = self.client.connection_pool.connection_kwargs
        host = known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
        self.where = f"{host}/{known.get('db', 0)}"

    def name(self, kind: str, named: str) -> str:
        """Returns the name that something lies by: only who has the key can tell what it is."""
        digest = hmac.new(self._naming, f"{kind}\x1f{named}".encode(), hashlib.sha256).hexdigest()
        return f"{self._prefix}{kind}:{digest}"

    def index(self, kind: str) -> str:
        """Returns the name of the list of all that is of a kind."""
        return f"{self._prefix}{kind}"

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """A with-block that asks the Redis, by the client that it is given.

        Raises:
            StoreError: It does not answer, or not as it should.
        """
        try:
            yield self.client
        except self._errors as error:
            raise StoreError(f"the Redis at {self.where} failed: {type(error).__name__}") from error

    def check(self) -> None:
        """Asks whether it can be relied on.

        Raises:
            StoreError: It does not answer.
            SettingsError: It may forget what it holds: used-up approvals would count again.
        """
        with self.asking() as client:
            memory = client.info("memory")
        forgets = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory") and forgets != "noeviction":
            raise SettingsError(
                f"the Redis at {self.where} forgets what it holds when it is full "
                f"(maxmemory-policy is {forgets}), expected noeviction"
            )

    def close(self) -> None:
        """Gives up its connections."""
        self.client.close()
