"""What every request of an application shares: the guarded model, and what was decided lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import Escalation
from guardrail.serving.admission import Admission
from guardrail.serving.body import ChatBody
from guardrail.serving.tenants import Tenant, Tenants
from guardrail.serving.written import WrittenAnswer

_KEPT = 10_000
"""Decisions that can be looked up again."""


@dataclass
class Desk:
    """What every request of an application shares.

    Attributes:
        chat: The guarded model.
        name: By which it is served.
        tenants: Who may ask; anybody without.
        admission: How many are under way.
        decided: The latest decisions, by whose they are and their requests' ids.
    """

    chat: ChatSafeCoDe
    name: str
    tenants: Tenants | None
    admission: Admission
    decided: OrderedDict[tuple[str, str], dict[str, Any]] = field(default_factory=OrderedDict)

    def note(self, tenant: Tenant, decision: dict[str, Any]) -> None:
        """Keeps a decision, in the place of the oldest one where there are many."""
        self.decided[tenant.name, decision["request_id"]] = decision
        while len(self.decided) > _KEPT:
            self.decided.popitem(last=False)

    async def events(
        self, body: ChatBody, tenant: Tenant, session: str | None, written: WrittenAnswer
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the events of a guarded answer while it is written.

        Raises:
            Failure: Too many are under way.
            GuardrailError: The request cannot be served.
        """
        config: Any = {"metadata": dict(tenant.metadata)}
        if session:
            config["configurable"] = {"session_id": tenant.session(session)}
        chunks: Any = self.chat.astream(body.said(), config, stop=body.stops, **body.settings())
        with self.admission.admitted():
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if (event := written.take(chunk)) is not None:
                            yield event
            except Escalation as escalation:
                self.note(tenant, escalation.decision.model_dump(mode="json"))
                raise
            self.note(tenant, written.decision)
        usage = body.stream_options is not None and body.stream_options.include_usage
        for event in written.ended(usage=usage):
            yield event
