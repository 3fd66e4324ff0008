"""What every request of an application shares: the guarded model, and what was decided lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import Escalation
from guardrail.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.terms import Mode
from guardrail.serving.admission import Admission
from guardrail.serving.body import ChatBody
from guardrail.serving.failures import Failure
from guardrail.serving.tenants import ANYBODY, Tenant, Tenants
from guardrail.serving.written import WrittenAnswer

_KEPT = 10_000
"""Decisions that can be looked up again, and escalations that can be reviewed."""

_Kept = TypeVar("_Kept")
_Place = tuple[str, str]
"""Whose request, and its id."""


@dataclass
class Desk:
    """What every request of an application shares.

    Attributes:
        chat: The guarded model.
        name: By which it is served.
        tenants: Who may ask; `anybody` without.
        admission: How many are under way.
        anybody: Who asks where there are no tenants.
        decided: The latest decisions.
        tokens: What approvals of the latest escalations have to bring back.
        reviews: What humans have said of them.
    """

    chat: ChatSafeCoDe
    name: str
    tenants: Tenants | None
    admission: Admission
    anybody: Tenant = ANYBODY
    decided: OrderedDict[_Place, dict[str, Any]] = field(default_factory=OrderedDict)
    tokens: OrderedDict[_Place, str] = field(default_factory=OrderedDict)
    reviews: OrderedDict[_Place, Review] = field(default_factory=OrderedDict)

    def policy(self, tenant: Tenant) -> tuple[Policy, Mode]:
        """Returns what holds for a tenant's requests. It may read files.

        Raises:
            PolicyError: The tenant's metadata cannot be compared.
        """
        found: Policy = self.chat.engine.policy_for(self.chat.policy, tenant.metadata)
        return found, self.chat.mode or found.mode

    def review(self, tenant: Tenant, request_id: str, *, approved: bool, by: str) -> Review:
        """Keeps a human's word on an escalation: the first one counts.

        Raises:
            Failure: The key may not review, there is nothing to review, or it was reviewed.
        """
        place = tenant.name, request_id
        if not tenant.reviews:
            raise Failure(403, "this key may not review", "no_reviewer")
        if place in self.reviews:
            raise Failure(409, "this request has been reviewed already", "reviewed")
        if place not in self.tokens:
            raise Failure(404, "there is no such escalation, or it is too old", "no_escalation")
        token = self.tokens.pop(place)
        found = Review(request_id=request_id, approved=approved, by=by, token=token)
        _keep(self.reviews, place, found)
        return found

    async def events(
        self,
        body: ChatBody,
        tenant: Tenant,
        written: WrittenAnswer,
        *,
        session: str | None = None,
        reviewed: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the events of a guarded answer while it is written.

        Args:
            body: What is asked.
            tenant: Who asks.
            written: Takes the answer.
            session: By which the tenant's earlier requests are remembered.
            reviewed: The escalated request that this one is again.

        Raises:
            Failure: Too many are under way.
            GuardrailError: The request cannot be served.
        """
        config: Any = {"metadata": dict(tenant.metadata)}
        if session:
            config["configurable"] = {"session_id": tenant.session(session)}
        asked = body.settings()
        if reviewed is not None and (review := self.reviews.get((tenant.name, reviewed))):
            asked["review"] = review
        chunks: Any = self.chat.astream(body.said(), config, stop=body.stops, **asked)
        with self.admission.admitted():
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if (event := written.take(chunk)) is not None:
                            yield event
            except Escalation as escalation:
                decided = escalation.decision
                place = tenant.name, decided.request_id
                _keep(self.decided, place, decided.model_dump(mode="json"))
                _keep(self.tokens, place, escalation.token)
                raise
            decision = written.decision
            _keep(self.decided, (tenant.name, decision["request_id"]), decision)
        usage = body.stream_options is not None and body.stream_options.include_usage
        for event in written.ended(usage=usage):
            yield event

    async def unguarded(self, body: ChatBody, tenant: Tenant) -> dict[str, Any]:
        """Returns what the model answers without its guard; on record with the mode `off`.

        INVARIANT: called for tenants that may compare, of what was answered guarded before.

        Args:
            body: What is asked.
            tenant: Who asks.

        Raises:
            Failure: Too many are under way.
            GuardrailError: The request cannot be served.
        """
        assert tenant.compares
        written = WrittenAnswer(self.name)
        config: Any = {"metadata": dict(tenant.metadata)}
        chunks: Any = self.chat.astream(
            body.said(), config, stop=body.stops, **body.settings(), mode="off"
        )
        with self.admission.admitted():
            async with aclosing(chunks):
                async for chunk in chunks:
                    written.take(chunk)
        decision = written.decision
        _keep(self.decided, (tenant.name, decision["request_id"]), decision)
        return written.unguarded()


def _keep(shelf: OrderedDict[_Place, _Kept], place: _Place, kept: _Kept) -> None:
    """Keeps something, in the place of the oldest where there is much."""
    shelf[place] = kept
    while len(shelf) > _KEPT:
        shelf.popitem(last=False)
