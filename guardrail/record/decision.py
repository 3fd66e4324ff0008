"""The record of one guarded request: one typed, versioned object, also for blocked and failed ones.

It observes and feeds nothing back. No text of the request and no pixels are kept here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from guardrail.policy.review import Review
from guardrail.policy.terms import Act, Action, Counterfactual, Label, Mode
from guardrail.policy.verdict import Verdict

SCHEMA_VERSION = 1

FinishReason = Literal[
    "stop", "length", "tool_calls", "blocked", "escalated", "judged", "cancelled", "error"
]
"""`blocked`, `escalated`: by the verdict, or by a reading of the answer as it grew; `judged`:
nothing was asked for but the decision, and the answer is somebody else's.
"""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyRef(_Record):
    """Which policy decided: its name, schema version and the SHA-256 of its resolved content."""

    name: str
    version: int
    digest: str


class VerdictRecord(_Record):
    """The judge's belief and the label that the policy's thresholds gave it."""

    label: Label | None = Field(
        None,
        description="None if nobody judged the request: the mode is off, or it is on an answer",
    )
    p_unsafe: float | None = None
    categories: dict[str, float] = Field(default_factory=dict)
    source: str = "none"
    error: str | None = None
    views: dict[str, str] = Field(
        default_factory=dict,
        description="by category id, the part of the request that was judged highest, where it was "
        "not the whole",
    )
    competence: float | None = Field(
        None,
        description="the least of `evidence`, by which a safe verdict earns its suppression; -100 "
        "where there was nothing to go by, None where nobody asked",
    )
    evidence: dict[str, float] = Field(
        default_factory=dict,
        description="`request` and `description`: p-values by which the request, and what the "
        "model makes of its pictures, are like those that the model was tried on; `pictures`: by "
        "how many nats they, against grey ones, lower the log-odds of harm",
    )
    screen: float | None = Field(
        None,
        description="what the screening question came to, before calibration; None where none was "
        "asked",
    )
    screened: list[str] = Field(
        default_factory=list,
        description="ids of the categories that the screen spared: their own questions were not "
        "asked, and their probability is the screen's, calibrated",
    )

    def believed(self) -> Verdict:
        """Returns the verdict that this is the record of; what the judge saw is not in it."""
        return Verdict(
            dict(self.categories),
            source=self.source,
            error=self.error,
            views=dict(self.views),
            competence=self.competence,
            evidence=dict(self.evidence),
            screen=self.screen,
            screened=tuple(self.screened),
        )


class ContrastRecord(_Record):
    """Whether the noised branch ran, and with which settings."""

    applied: bool = False
    alpha: float = 0.0
    counterfactual: Counterfactual | None = Field(
        None, description="what the noised branch saw; None where it did not run"
    )
    noise_std: float = 0.0
    steps: int = 0
    skipped: str | None = Field(None, description="why contrast was not applied")


class Candidate(_Record):
    """One candidate token of a guided step; probabilities in each stage's distribution."""

    token: str
    real: float
    noised: float | None = None
    guarded: float


class StepRecord(_Record):
    """One guided step.

    `refusal_mass_*` is the probability, in [0, 1], that a refusal follows, before and after
    steering of this step's token: what comes after it is as likely as without steering. What is
    left open, mostly below 0.02, counts as refusing. `divergence` is the Jensen-Shannon
    divergence (nats) of the real and the noised branch's next-token distributions; None without a
    noised branch. `coverage` is the probability, in [0, 1], of the candidates that a server showed
    of its model's next token, with a noised branch the lesser of both; None where the model's whole
    distribution was at hand.
    """

    step: int
    token: str
    token_unguarded: str
    refusal_mass_before: float
    refusal_mass_after: float
    divergence: float | None = None
    coverage: float | None = None
    top: list[Candidate] = Field(default_factory=list)


class WatchRecord(_Record):
    """One reading of the answer as far as it had come.

    Attributes:
        tokens: How many tokens the answer had; 0 of an answer that somebody else wrote.
        over: Whether it was whole.
        act: What the policy made of it. In `shadow` it is not done; `steer`, where that cannot be
            done any more, is the policy's words (`outcome.replaced`), as is `steer` or `end` for an
            answer that somebody else wrote.
        category: The category that decided, if one did.
        screen: What the screening question came to, as of the verdict.
        screened: The categories that it spared, as of the verdict.
    """

    tokens: int
    over: bool = False
    label: Label
    act: Act
    p_unsafe: float | None = None
    categories: dict[str, float] = Field(default_factory=dict)
    category: str | None = None
    rule: str = ""
    reasons: list[str] = Field(default_factory=list)
    error: str | None = None
    screen: float | None = None
    screened: list[str] = Field(default_factory=list)


class Outcome(_Record):
    """What was then said. `refused` is None when nothing was generated."""

    refused: bool | None = None
    replaced: bool = Field(
        False,
        description="the policy's words took the place of what the model said: it did not begin to "
        "refuse, or an answer that was watched turned, in which case they follow what was cleared",
    )
    finish_reason: FinishReason = "stop"
    output_tokens: int = 0


class RememberedRecord(_Record):
    """A probability that an earlier request left behind, faded as the policy says."""

    p: float
    request_id: str


class SessionRecord(_Record):
    """What was remembered of earlier requests when this one was decided."""

    remembered: dict[str, RememberedRecord] = Field(
        default_factory=dict, description="by category id"
    )
    refusal: str | None = Field(None, description="the latest request that was refused, if any")


class Decision(_Record):
    """Everything that was decided about one request, and why.

    `response_metadata["guardrail"]` is `decision.model_dump(mode="json")`.
    """

    schema_version: int = SCHEMA_VERSION
    request_id: str
    mode: Mode
    model: str = ""
    policy: PolicyRef
    verdict: VerdictRecord
    action: Action
    category: str | None = Field(None, description="the category whose rule decided, if any")
    rule: str | None = Field(None, description="path of the policy rule that decided")
    reasons: list[str] = Field(default_factory=list)
    confidence: float = Field(0.0, description="how far past its threshold, in [0, 1]")
    session: SessionRecord | None = Field(None, description="None if nothing was remembered")
    review: Review | None = Field(None, description="a human's word on it, after an escalation")
    contrast: ContrastRecord = Field(default_factory=ContrastRecord)
    steps: list[StepRecord] = Field(default_factory=list)
    watch: list[WatchRecord] = Field(
        default_factory=list, description="the readings of the answer as it grew, in their order"
    )
    outcome: Outcome = Field(default_factory=Outcome)
    timings_ms: dict[str, float] = Field(default_factory=dict)
    trace_id: str | None = None
    cached_from: str | None = Field(
        None, description="the request whose answer, and decision, a cache gave again"
    )
    errors: list[str] = Field(default_factory=list)

    @property
    def ended_by(self) -> WatchRecord | None:
        """The reading by which the answer was ended; None where none has."""
        ended = self.outcome.finish_reason in ("blocked", "escalated")
        return self.watch[-1] if ended and self.watch else None

    @field_serializer("review")
    def _without_token(self, review: Review | None) -> dict[str, Any] | None:
        """INVARIANT: what opens an escalated request is in no record."""
        return None if review is None else review.model_dump(mode="json", exclude={"token"})
