"""Errors in the shape of the chat API: one place says which status each of ours has."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from guardrail.errors import (
    AuditError,
    Escalation,
    GuardrailError,
    MessageError,
    ModelError,
    PictureError,
    ServerError,
    SettingsError,
    StoreError,
)

_LOG = logging.getLogger(__name__)

_LONGEST_WAIT_S = 60
"""What a client is told at most, however long the model's server wants to be left alone."""

COME_AGAIN_S = 1
"""Seconds after which a client may try what failed for now."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    422: "guardrail_escalation",
    429: "rate_limit_error",
}
"""Of those that are no plain `invalid_request_error`."""


@dataclass(eq=False)
class Failure(Exception):
    """What a client is told.

    Attributes:
        status: Of the HTTP answer.
        message: In a sentence.
        code: By which programs tell it from others.
        param: What in the body it is about.
        headers: Of the answer.
        more: Further fields of the error.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Returns the body of the answer."""
        ours = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = "server_error" if ours else _TYPES.get(self.status, "invalid_request_error")
        said = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": {**said, **self.more}}


def _failure_of(error: BaseException) -> Failure:
    """Returns what a client is told of an error; of what nobody expected, no more than that."""
    match error:
        case Failure():
            return error
        case Escalation():
            return _escalated(error)
        case MessageError() | PictureError() | SettingsError():
            code = type(error).__name__.removesuffix("Error").lower()
            return Failure(400, str(error), f"invalid_{code}")
        case AuditError():
            return Failure(503, "the decision cannot be put on record", "unrecorded")
        case ServerError(status=429 | 503):
            return _busy_behind(error)
        case StoreError():
            said = "what the replicas share cannot be reached"
            return Failure(503, said, "unshared", headers={"retry-after": str(COME_AGAIN_S)})
        case ModelError():
            return Failure(502, "the model cannot answer", "model_failed")
        case TimeoutError():
            return Failure(504, "the answer took too long", "timeout")
        case GuardrailError():
            return Failure(500, "the request cannot be served", type(error).__name__)
    return Failure(500, "the server failed", "internal_error")


def told(error: BaseException) -> Failure:
    """Returns what a client is told of an error; of what is our own fault, the log is told more.

    INVARIANT: neither is told any word of a request.
    """
    failure = _failure_of(error)
    if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR and failure is not error:
        if isinstance(error, GuardrailError):
            more = error.reason
        else:
            more = "".join(traceback.format_tb(error.__traceback__))
        _LOG.error("a request failed: %s: %s", type(error).__name__, more)
    return failure


def _busy_behind(error: ServerError) -> Failure:
    """Says when to come again as the model's server does, within bounds."""
    seconds = math.ceil(min(error.retry_after_s or COME_AGAIN_S, _LONGEST_WAIT_S))
    headers = {"retry-after": str(seconds)}
    return Failure(503, "the model's server is busy", "busy_behind", headers=headers)


def _escalated(error: Escalation) -> Failure:
    decision = error.decision
    known = {"x-guardrail-action": decision.action, "x-guardrail-request-id": decision.request_id}
    more = {"request_id": decision.request_id, "guardrail": decision.model_dump(mode="json")}
    words = error.refusal or "a human has to decide"
    return Failure(422, words, "escalated", headers=known, more=more)
