"""What one record of the audit log says: typed, versioned, and the same bytes in every process.

A record holds the decision and keyed digests of what was asked and answered. Words and pictures are
in it only where the policy captures content. It knows nothing of chains, keys or files.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from guardrail.policy.terms import AnswerAction, Release, Thinking
from guardrail.record.decision import Decision
from guardrail.record.digests import Content, RequestDigests
from guardrail.record.failure import Failure

RECORD_VERSION: Final = 2
"""2: `failed` records, and decisions that say they came out of a cache. Logs of 1 stay readable."""

Kind = Literal["created", "opened", "decision", "failed", "checkpoint"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(_Part):
    """A category's effective thresholds when it was decided."""

    unsafe_at: float
    safe_below: float


class Watching(_Part):
    """How its policy had the answer read while it grew."""

    every: int
    unsafe_at: float
    safe_below: float
    on_unsafe: AnswerAction
    release: Release
    thinking: Thinking = "shown"


class Calibration(_Part):
    """What the policy did to the judge's probabilities: sigmoid(scale * logit(p) + bias).

    Attributes:
        contrast: The alpha by which those of requests with pictures were contrasted before, by a
            local judge; None if by none.
    """

    scale: float
    bias: float
    contrast: float | None = None


class Created(_Part):
    """The first record of a log."""

    log: str
    key: str
    algorithm: str
    library: str


class Continued(_Part):
    """Where the log before this one ended, in the first record of a log begun by a rotation.

    Attributes:
        log: The earlier log.
        key: The id of the key that it was signed with.
        seq: Its last record.
        hash: That record's hash.
        signature: That record's signature.
        records: How many it was given over its life.
        path: Where it lay; it was renamed since.
    """

    log: str
    key: str
    seq: int
    hash: str
    signature: str
    records: int
    path: str


class Checkpoint(_Part):
    """Stands for the records that retention has removed, so that the rest stays provable.

    Attributes:
        through: The last record removed.
        hash: Its hash; what follows is chained to it.
        signature: Its signature.
        records: How many were removed over the log's life.
        decisions: How many of those were decisions, by action.
        first_time: When the oldest removed record was written.
        last_time: When the newest removed record was written.
    """

    through: int
    hash: str
    signature: str
    records: int
    decisions: dict[str, int] = Field(default_factory=dict)
    first_time: str
    last_time: str


class AuditRecord(_Part):
    """One record of the log."""

    version: Literal[1, 2] = RECORD_VERSION
    seq: int
    time: str = Field(description="when it was written: UTC, ISO 8601, milliseconds")
    kind: Kind
    decision: Decision | None = Field(
        None,
        description="`decision`: the whole record; `opened`: as known before the first token, so "
        "that its outcome, steps, readings and timings mean nothing",
    )
    failure: Failure | None = Field(
        None, description="`failed`: a request that could not be judged, and why"
    )
    request: RequestDigests | None = None
    thresholds: dict[str, Thresholds] | None = None
    calibration: Calibration | None = None
    watching: Watching | None = Field(None, description="None if the policy did not watch")
    content: Content | None = None
    created: Created | None = None
    continues: Continued | None = None
    checkpoint: Checkpoint | None = None

    def body(self) -> str:
        """Returns the canonical JSON that is hashed and stored."""
        dumped = self.model_dump(mode="json")
        kept = {name: value for name, value in dumped.items() if value is not None}
        if self.kind == "opened" and self.decision is not None:
            for name in ("outcome", "steps", "watch", "timings_ms"):
                del kept["decision"][name]
        return canonical(kept)


def canonical(value: Any) -> str:
    """Returns JSON with sorted keys, no spaces and ASCII escapes; NaN and infinities as strings.

    Parsing it and calling this again gives the same text.
    """
    try:
        return _dumps(value)
    except ValueError:
        return _dumps(_spelled_out(value))


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _spelled_out(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _spelled_out(each) for name, each in value.items()}
    return [_spelled_out(each) for each in value] if isinstance(value, list) else value


def parse_body(body: str) -> AuditRecord:
    """Returns the record that `body` spells.

    Raises:
        ValueError: It spells none.
    """
    return AuditRecord.model_validate(json.loads(body))
