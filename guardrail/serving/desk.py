"""What every request of an application shares: the guarded model, and what was decided lately."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import Escalation, StoreError
from guardrail.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.terms import Mode
from guardrail.record.answer import Judgement
from guardrail.serving.admission import Admission
from guardrail.serving.body import ChatBody
from guardrail.serving.exposition import Exposition
from guardrail.serving.failures import Failure
from guardrail.serving.rates import Rates
from guardrail.serving.shelf import OwnShelf, Shelf, packed, unpacked
from guardrail.serving.tenants import ANYBODY, Tenant, Tenants
from guardrail.serving.visit import Visit
from guardrail.serving.written import WrittenAnswer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ask:
    """One request, as it came in.

    Attributes:
        body: What is asked.
        tenant: Who asks.
        session: By which the tenant's earlier requests are remembered.
        reviewed: The escalated request that this one is again.
    """

    body: ChatBody
    tenant: Tenant
    session: str | None = None
    reviewed: str | None = None


@dataclass
class Desk:
    """What every request of an application shares.

    Attributes:
        chat: The guarded model.
        name: By which it is served.
        tenants: Who may ask; `anybody` without.
        admission: How many are under way.
        rates: How often each key may ask.
        anybody: Who asks where there are no tenants.
        exposition: What they and their decisions count up to, if that can be read here.
        decided: The latest decisions.
        escalated: What approvals of the latest escalations have to bring back, and what humans have
            said of them.
    """

    chat: ChatSafeCoDe
    name: str
    tenants: Tenants | None
    admission: Admission
    rates: Rates = field(default_factory=Rates)
    anybody: Tenant = ANYBODY
    exposition: Exposition | None = None
    decided: Shelf = field(default_factory=OwnShelf)
    escalated: Shelf = field(default_factory=OwnShelf)

    def policy(self, tenant: Tenant) -> tuple[Policy, Mode]:
        """Returns what holds for a tenant's requests. It may read files.

        Raises:
            PolicyError: The tenant's metadata cannot be compared.
        """
        found: Policy = self.chat.engine.policy_for(self.chat.policy, tenant.metadata)
        return found, self.chat.mode or found.mode

    async def decision(self, tenant: Tenant, request_id: str) -> dict[str, Any]:
        """Returns one of the latest decisions on a tenant's requests.

        Raises:
            Failure: There is none.
            StoreError: What replicas share cannot be reached.
        """
        found = await self.decided.get(tenant.place(request_id))
        if found is None:
            raise Failure(404, "there is no such decision, or it is too old", "no_decision")
        return unpacked(found)

    async def review(self, tenant: Tenant, request_id: str, *, approved: bool, by: str) -> None:
        """Keeps a human's word on an escalation: the first one counts.

        Raises:
            Failure: The key may not review, there is nothing to review, or it was reviewed.
            StoreError: What replicas share cannot be reached.
        """
        place = tenant.place(request_id)
        if not tenant.reviews:
            raise Failure(403, "this key may not review", "no_reviewer")
        found = await self.escalated.get(place)
        if found is None:
            raise Failure(404, "there is no such escalation, or it is too old", "no_escalation")
        kept = unpacked(found)
        said = packed({**kept, "approved": approved, "by": by})
        if "approved" in kept or not await self.escalated.swap(place, found, said):
            raise Failure(409, "this request has been reviewed already", "reviewed")

    async def _reviewed(self, tenant: Tenant, request_id: str) -> Review | None:
        found = await self.escalated.get(tenant.place(request_id))
        kept = unpacked(found) if found is not None else {}
        return Review(request_id=request_id, **kept) if "approved" in kept else None

    async def events(
        self, ask: Ask, written: WrittenAnswer, visit: Visit
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the events of a guarded answer while it is written.

        Args:
            ask: What is asked.
            written: Takes the answer.
            visit: Takes the decision.

        Raises:
            Failure: Too many are under way.
            GuardrailError: The request cannot be served.
        """
        messages, config, call = await self._call(ask)
        chunks: Any = self.chat.astream(messages, config, **call)
        with self.admission.admitted() as answering:
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        answering()
                        if (event := written.take(chunk)) is not None:
                            yield event
            except Escalation as escalation:
                await self._escalated(escalation, ask.tenant, visit)
                raise
            await self._decided(written.decision, ask.tenant, visit)
        options = ask.body.stream_options
        for event in written.ended(usage=options is not None and options.include_usage):
            yield event

    async def unguarded(self, ask: Ask) -> dict[str, Any]:
        """Returns what the model answers without its guard; on record with the mode `off`.

        INVARIANT: called for tenants that may compare, of what was answered guarded before.

        Args:
            ask: What is asked. Its session remembers nothing of this.

        Raises:
            Failure: Too many are under way.
            GuardrailError: The request cannot be served.
        """
        assert ask.tenant.compares
        written = WrittenAnswer(self.name)
        messages, config, call = await self._call(Ask(ask.body, ask.tenant))
        chunks: Any = self.chat.astream(messages, config, **call, mode="off")
        with self.admission.admitted() as answering:
            async with aclosing(chunks):
                async for chunk in chunks:
                    answering()
                    written.take(chunk)
        await self._keep_decision(written.decision, ask.tenant)
        return written.unguarded()

    async def decide(self, ask: Ask, visit: Visit) -> Judgement:
        """Returns what is decided about a request that somebody else answers.

        Args:
            ask: What is asked.
            visit: Takes the decision.

        Raises:
            Failure: Too many are under way.
            Escalation: The policy wants a human to decide.
            GuardrailError: The request cannot be judged.
        """
        messages, config, call = await self._call(ask)
        with self.admission.admitted():
            found = await self.chat.adecide(messages, config, **call)
        if found.token:
            reasons = found.decision.reasons
            why = f"a human must decide: {reasons[0] if reasons else found.decision.action}"
            escalation = Escalation(why, found.decision, found.refusal, found.token)
            await self._escalated(escalation, ask.tenant, visit)
            raise escalation
        await self._decided(found.decision.model_dump(mode="json"), ask.tenant, visit)
        return found

    async def _call(self, ask: Ask) -> tuple[list[dict[str, Any]], Any, dict[str, Any]]:
        """Returns messages, configuration and arguments of a call to the guarded model."""
        config: Any = {"metadata": dict(ask.tenant.metadata)}
        if ask.session:
            config["configurable"] = {"session_id": ask.tenant.session(ask.session)}
        call = {**ask.body.settings(), "stop": ask.body.stops}
        if ask.reviewed and (review := await self._reviewed(ask.tenant, ask.reviewed)):
            call["review"] = review
        return ask.body.said(), config, call

    async def _decided(self, decision: dict[str, Any], tenant: Tenant, visit: Visit) -> None:
        visit.decision = decision
        await self._keep_decision(decision, tenant)

    async def _keep_decision(self, decision: dict[str, Any], tenant: Tenant) -> None:
        await _keep(self.decided, tenant.place(decision["request_id"]), decision)

    async def _escalated(self, escalation: Escalation, tenant: Tenant, visit: Visit) -> None:
        decided = escalation.decision.model_dump(mode="json")
        place = tenant.place(decided["request_id"])
        await _keep(self.escalated, place, {"token": escalation.token})
        await self._decided(decided, tenant, visit)


async def _keep(shelf: Shelf, place: str, content: Mapping[str, Any]) -> None:
    """Keeps what clients may look up. Where that fails, the answer stands: it is on record."""
    try:
        await shelf.put(place, packed(content))
    except StoreError as error:
        _LOG.warning("a decision cannot be looked up: %s", error)
