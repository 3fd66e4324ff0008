"""Values by name in a shared Redis: the latest ones, and none for longer than it may."""

from __future__ import annotations

from guardrail.errors import SettingsError
from guardrail.shared.connection import SharedRedis

# In one step, by the clock of the Redis: other machines' clocks do not count.
_KEEP = """
local index, name = KEYS[1], KEYS[2]
local value, ttl_ms, capacity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if ARGV[4] then
    local found = redis.call('GET', name)
    if ARGV[4] == 'none' then
        if found then return 0 end
    elseif found ~= ARGV[5] then
        return 0
    end
end
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
redis.call('SET', name, value, 'PX', ttl_ms)
redis.call('ZADD', index, string.format('%.0f', now_us), name)
redis.call('PEXPIRE', index, ttl_ms)
redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now_us - ttl_ms * 1000))
local over = redis.call('ZCARD', index) - capacity
if over > 0 then
    local oldest = redis.call('ZPOPMIN', index, over)
    for at = 1, #oldest, 2 do redis.call('DEL', oldest[at]) end
end
return 1
"""


class Kept:
    """Values of one kind. Safe to use from several threads and processes.

    Args:
        shared: Where they are kept.
        kind: What they are.
        capacity: Most of them; beyond it, the one that was written longest ago is forgotten.
        ttl_s: Seconds after it was written at which one is forgotten.

    Raises:
        SettingsError: A limit is not above 0.
    """

    def __init__(self, shared: SharedRedis, kind: str, *, capacity: int, ttl_s: float) -> None:
        if capacity < 1 or not 0.001 <= ttl_s < float("inf"):
            raise SettingsError(
                f"capacity is {capacity!r} and ttl_s is {ttl_s!r}, expected 1 or more and above 0"
            )
        self._shared, self._kind = shared, kind
        self._capacity, self._ttl_ms = capacity, round(ttl_s * 1000)
        self._keep = shared.client.register_script(_KEEP)

    def get(self, name: str) -> bytes | None:
        """Returns a value; None where there is none.

        Raises:
            StoreError: The Redis failed.
        """
        with self._shared.asking() as client:
            found: bytes | None = client.get(self._shared.name(self._kind, name))
        return found

    def put(self, name: str, value: bytes) -> None:
        """Keeps a value, in the place of any other.

        Raises:
            StoreError: The Redis failed.
        """
        self._kept(name, value)

    def swap(self, name: str, before: bytes | None, value: bytes) -> bool:
        """Keeps a value in the place of `before`; returns whether that was what stood there.

        Raises:
            StoreError: The Redis failed.
        """
        expected = ("none",) if before is None else ("value", before)
        return self._kept(name, value, *expected)

    def _kept(self, name: str, value: bytes, *expected: str | bytes) -> bool:
        keys = [self._shared.index(self._kind), self._shared.name(self._kind, name)]
        with self._shared.asking():
            done = self._keep(keys=keys, args=[value, self._ttl_ms, self._capacity, *expected])
        return bool(done)
