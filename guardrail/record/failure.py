"""The record of a request that failed before it could be judged, without any of its words.

An error's own message may quote the request (a path, an address, a text), so a record says by kind
what went wrong. It observes and feeds nothing back.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from guardrail.errors import (
    AuditError,
    GuardrailError,
    MessageError,
    ModelError,
    PictureError,
    PolicyError,
    SettingsError,
)
from guardrail.policy.terms import Mode
from guardrail.record.decision import PolicyRef

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (PictureError, "a picture cannot be read, or is not allowed"),
    (MessageError, "a message cannot be passed on to the model"),
    (SettingsError, "a setting is unknown, out of range or contradictory"),
    (PolicyError, "the policy is not usable"),
    (ModelError, "the model cannot be served"),
    (AuditError, "the audit log cannot be written"),
    (TimeoutError, "it took too long"),
    (GuardrailError, "the guard could not serve it"),
    (Exception, "something failed that the guard does not know"),
)
_NAME = re.compile(r"[A-Za-z_]\w{0,79}")


class Failure(BaseModel):
    """A request that nobody judged, because it was none that could be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str
    model: str = ""
    operation: str = Field("chat", description="`chat`, or `apply_guardrail`")
    policy: PolicyRef | None = Field(None, description="None if none was chosen yet")
    mode: Mode | None = None
    error_type: str = Field(description="the name of the error's class")
    reason: str = Field(description="by the kind of error: none of the request's words")
    detail: str | None = Field(
        None, description="the error's message; only where the policy captures content"
    )
    trace_id: str | None = None


def error_type_of(error: BaseException) -> str:
    """Returns the name of an error's class."""
    name = type(error).__name__
    return name if _NAME.fullmatch(name) else "Exception"


def reason_of(error: BaseException) -> str:
    """Returns what went wrong, in words that no request has chosen."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), _REASONS[-1][1])
