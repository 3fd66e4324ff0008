"""What every request of an application shares: the guarded model, and what was decided lately."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import Escalation, StoreError
from guardrail.policy.review import Review
from guardrail.serving.admission import Admission
from guardrail.serving.body import ChatBody
from guardrail.serving.failures import Failure
from guardrail.serving.rates import Rates
from guardrail.serving.shelf import OwnShelf, Shelf, packed, unpacked
from guardrail.serving.tenants import Tenant, Tenants
from guardrail.serving.written import WrittenAnswer

_log = logging.getLogger(__name__)


@dataclass
class Desk:
    """What every request of an application shares.

    Attributes:
        chat: The guarded model.
        name: By which it is served.
        tenants: Who may ask; anybody without.
        admission: How many are under way.
        rates: How often each key may ask.
        decided: The latest decisions.
        escalated: What approvals of the latest escalations have to bring back, and what humans have
            said of them.
    """

    chat: ChatSafeCoDe
    name: str
    tenants: Tenants | None
    admission: Admission
    rates: Rates = field(default_factory=Rates)
    decided: Shelf = field(default_factory=OwnShelf)
    escalated: Shelf = field(default_factory=OwnShelf)

    async def decision(self, tenant: Tenant, request_id: str) -> dict[str, Any]:
        """Returns one of the latest decisions on a tenant's requests.

        Raises:
            Failure: There is none.
        """
        found = await self.decided.get(tenant.place(request_id))
        if found is None:
            raise Failure(404, "there is no such decision, or it is too old", "no_decision")
        return unpacked(found)

    async def review(self, tenant: Tenant, request_id: str, *, approved: bool, by: str) -> None:
        """Keeps a human's word on an escalation: the first one counts.

        Raises:
            Failure: The key may not review, there is nothing to review, or it was reviewed.
        """
        place = tenant.place(request_id)
        if not tenant.reviews:
            raise Failure(403, "this key may not review", "no_reviewer")
        found = await self.escalated.get(place)
        if found is None:
            raise Failure(404, "there is no such escalation, or it is too old", "no_escalation")
        kept = json.loads(found)
        said = json.dumps({**kept, "approved": approved, "by": by}).encode()
        if "approved" in kept or not await self.escalated.swap(place, found, said):
            raise Failure(409, "this request has been reviewed already", "reviewed")

    async def _reviewed(self, tenant: Tenant, request_id: str) -> Review | None:
        found = await self.escalated.get(tenant.place(request_id))
        kept = json.loads(found) if found is not None else {}
        return Review(request_id=request_id, **kept) if "approved" in kept else None

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
        if reviewed is not None and (review := await self._reviewed(tenant, reviewed)):
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
                place = tenant.place(decided.request_id)
                token = json.dumps({"token": escalation.token}).encode()
                await _keep(self.escalated, place, token)
                await _keep(self.decided, place, packed(decided.model_dump(mode="json")))
                raise
            decision = written.decision
            place = tenant.place(decision["request_id"])
            await _keep(self.decided, place, packed(decision))
        usage = body.stream_options is not None and body.stream_options.include_usage
        for event in written.ended(usage=usage):
            yield event


async def _keep(shelf: Shelf, place: str, value: bytes) -> None:
    """Keeps what clients may look up. Where that fails, the answer stands: it is on record."""
    try:
        await shelf.put(place, value)
    except StoreError as error:
        _log.warning("a decision cannot be looked up: %s", error)
