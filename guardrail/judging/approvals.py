"""What an approval is worth: one escalated request, once, for the same content and policy.

A request that is escalated gets a token, keyed so that nobody else can make one. A review that
approves brings it back, and is checked here before the policy hears of it. Who may approve, and how
they are asked, is not known here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from guardrail.errors import SettingsError
from guardrail.policy.review import Review
from guardrail.request.conversation import Conversation, Picture, Turn

KEY_VARIABLE = "GUARDRAIL_APPROVAL_KEY"
"""The environment's key, which several processes share: 16 characters or more."""

APPROVAL_LIFETIME_S = 3600.0

_log = logging.getLogger(__name__)
_PROCESS_KEY = secrets.token_bytes(32)
_SHORTEST_KEY = 16
_EARLY_S = 60.0  # how far another machine's clock may be ahead


class ApprovalLedger(Protocol):
    """Knows which approvals are used up; one that several processes share makes them single."""

    def use(self, token: str, until: float) -> bool:
        """Takes a token down, in one step.

        Args:
            token: A keyed digest; it holds nothing of a request.
            until: When it may be forgotten, in seconds since the epoch.

        Returns:
            Whether it was not there yet. If that cannot be known, raise: the approval is refused.
        """


class UsedApprovals:
    """The ledger of this process. Safe to use from several threads.

    Args:
        capacity: Most approvals within one lifetime; one more is refused, since what is forgotten
            could be used again.
        clock: Seconds since the epoch.

    Raises:
        SettingsError: The capacity is below 1.
    """

    def __init__(self, *, capacity: int = 100_000, clock: Callable[[], float] = time.time) -> None:
        if capacity < 1:
            raise SettingsError(f"capacity is {capacity!r}, expected 1 or more")
        self._capacity, self._clock = capacity, clock
        self._lock = threading.Lock()
        self._used: OrderedDict[str, float] = OrderedDict()

    def use(self, token: str, until: float) -> bool:
        """Takes a token down; returns whether it was not there yet.

        Raises:
            SettingsError: There is no room for it.
        """
        with self._lock:
            if token in self._used:
                return False
            if len(self._used) >= self._capacity:
                now = self._clock()
                for old in [each for each, end in self._used.items() if end < now]:
                    del self._used[old]
            if len(self._used) >= self._capacity:
                raise SettingsError(f"the ledger of approvals is full ({self._capacity})")
            self._used[token] = until
            return True


# INVARIANT: as wide as the key, or an approval would count once in every guard of the process.
_PROCESS_LEDGER = UsedApprovals()


class Approvals:
    """Issues tokens for escalated requests, and honours each of them once.

    Safe to use from several threads.

    Args:
        key: What tokens are made with; by default that of `GUARDRAIL_APPROVAL_KEY`, else one of
            this process alone.
        lifetime_s: Seconds that a human has.
        ledger: Knows which are used up; in this process by default.
        clock: Seconds since the epoch.

    Raises:
        SettingsError: The key is too short, or the lifetime not above 0.
    """

    def __init__(
        self,
        *,
        key: str | bytes | None = None,
        lifetime_s: float = APPROVAL_LIFETIME_S,
        ledger: ApprovalLedger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 < lifetime_s < float("inf"):
            raise SettingsError(f"approval_lifetime_s is {lifetime_s!r}, expected seconds above 0")
        given = key if key is not None else os.environ.get(KEY_VARIABLE) or None
        secret = given.encode() if isinstance(given, str) else given
        if secret is not None and len(secret) < _SHORTEST_KEY:
            raise SettingsError(
                f"the key of approvals has {len(secret)} bytes, expected {_SHORTEST_KEY} or more"
            )
        self._key = _PROCESS_KEY if secret is None else secret
        self._shared = secret is not None
        self._lifetime_s, self._clock = lifetime_s, clock
        self._ledger: ApprovalLedger = _PROCESS_LEDGER if ledger is None else ledger

    def issue(self, request_id: str, conversation: Conversation, policy_digest: str) -> str:
        """Returns the token of a request that is escalated now.

        Args:
            request_id: Of its record.
            conversation: What an approval will hold for.
            policy_digest: Under which policy.
        """
        issued = int(self._clock())
        return f"{issued}.{self._mac(issued, request_id, conversation, policy_digest)}"

    def refusal(self, review: Review, conversation: Conversation, policy_digest: str) -> str | None:
        """Returns why an approval is not honoured; None if it is, and then it is used up.

        Args:
            review: It approves.
            conversation: The request as it is now.
            policy_digest: The policy that it has now.
        """
        found = (review.token or "").partition(".")
        if not all(found) or not (found[0].isascii() and found[0].isdecimal()):
            return "it has no token of an escalation" if not review.token else "its token is none"
        if len(found[0]) > 12:
            return "its token is none"
        issued, given = int(found[0]), found[2]
        expected = self._mac(issued, review.request_id, conversation, policy_digest)
        if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            return f"its token is not that of this request, content and policy{self._where()}"
        now = self._clock()
        if not issued - _EARLY_S <= now <= issued + self._lifetime_s:
            return f"it is older than {self._lifetime_s:g} s" if now > issued else "it is too early"
        try:
            fresh = self._ledger.use(expected, issued + self._lifetime_s)
        except Exception as error:  # what may have been used already must not count again
            _log.warning("the ledger of approvals failed: %s", type(error).__name__)
            _log.debug("the ledger's error", exc_info=error)
            why = "is full" if isinstance(error, SettingsError) else "failed"
            return f"the ledger of approvals {why} ({type(error).__name__})"
        return None if fresh is True else "it was used already"

    def _where(self) -> str:
        if self._shared:
            return ""
        return f", or was made in another process: {KEY_VARIABLE} lets processes share a key"

    def _mac(
        self, issued: int, request_id: str, conversation: Conversation, policy_digest: str
    ) -> str:
        signed = ["approval", 1, issued, request_id, content_digest(conversation), policy_digest]
        return hmac.new(self._key, json.dumps(signed).encode(), hashlib.sha256).hexdigest()


def content_digest(conversation: Conversation) -> str:
    """Returns a digest of what is asked: texts, pictures, calls, tools and the answer's form.

    The same in every process. What calls are known by, the session and what went before are no part
    of it.
    """
    form = conversation.form
    content = {
        "turns": [_turn(turn) for turn in conversation.turns],
        "tools": _stable(conversation.tools),
        "form": [form.calls, form.tool, form.parallel, _stable(form.schema)],
    }
    plain = json.dumps(content, sort_keys=True)  # ASCII, so that any text has a digest
    return hashlib.sha256(plain.encode()).hexdigest()


def _turn(turn: Turn) -> list[Any]:
    parts = [
        ["picture", part.digest] if isinstance(part, Picture) else ["text", part]
        for part in turn.parts
    ]
    return [turn.role, parts, _stable(turn.tool_calls)]


def _stable(value: Any) -> Any:
    """Returns a value as JSON can hold it, the same for the same content."""
    if isinstance(value, Mapping):
        return ["map", sorted(([str(key), _stable(each)] for key, each in value.items()), key=repr)]
    if isinstance(value, list | tuple):
        return ["list", [_stable(each) for each in value]]
    if isinstance(value, set | frozenset):
        return ["set", sorted((_stable(each) for each in value), key=repr)]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return ["other", type(value).__qualname__, str(value)]
