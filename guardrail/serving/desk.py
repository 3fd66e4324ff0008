"""What every request of an application shares: the guarded model, and what was decided lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import Escalation
from guardrail.policy.review import Review
from guardrail.serving.admission import Admission
from guardrail.serving.body import ChatBody
from guardrail.serving.exposition import Exposition
from guardrail.serving.failures import Failure
from guardrail.serving.tenants import Tenant, Tenants
from guardrail.serving.visit import Visit
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
        tenants: Who may ask; anybody without.
        admission: How many are under way.
        exposition: What they and their decisions count up to, if that can be read here.
        decided: The latest decisions.
        tokens: What approvals of the latest escalations have to bring back.
        reviews: What humans have said of them.
    """

    chat: ChatSafeCoDe
    name: str
    tenants: Tenants | None
    admission: Admission
    exposition: Exposition | None = None
    decided: OrderedDict[_Place, dict[str, Any]] = field(default_factory=OrderedDict)
    tokens: OrderedDict[_Place, str] = field(default_factory=OrderedDict)
    reviews: OrderedDict[_Place, Review] = field(default_factory=OrderedDict)

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
        visit: Visit,
        *,
        session: str | None = None,
        reviewed: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the events of a guarded answer while it is written.

        Args:
            body: What is asked.
            tenant: Who asks.
            written: Takes the answer.
            visit: Takes the decision.
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
        with self.admission.admitted() as answering:
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        answering()
                        if (event := written.take(chunk)) is not None:
                            yield event
            except Escalation as escalation:
                decided = visit.decision = escalation.decision.model_dump(mode="json")
                place = tenant.name, decided["request_id"]
                _keep(self.decided, place, decided)
                _keep(self.tokens, place, escalation.token)
                raise
            decision = visit.decision = written.decision
            _keep(self.decided, (tenant.name, decision["request_id"]), decision)
        usage = body.stream_options is not None and body.stream_options.include_usage
        for event in written.ended(usage=usage):
            yield event


def _keep(shelf: OrderedDict[_Place, _Kept], place: _Place, kept: _Kept) -> None:
    """Keeps something, in the place of the oldest where there is much."""
    shelf[place] = kept
    while len(shelf) > _KEPT:
        shelf.popitem(last=False)
