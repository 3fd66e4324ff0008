"""The seam for whoever must see a request's record before its answer is out."""

from __future__ import annotations

from typing import Protocol

from guardrail.record.decision import Decision
from guardrail.request.conversation import Conversation


class Observer(Protocol):
    """Sees records and changes nothing; it refuses a request by raising `AuditError`."""

    def opened(self, decision: Decision, conversation: Conversation) -> None:
        """Called when a request is decided, before its first token.

        Args:
            decision: As known so far: its outcome, steps and timings mean nothing yet.
            conversation: What was asked.
        """

    def concluded(self, decision: Decision, conversation: Conversation, text: str) -> None:
        """Called once the record is whole, however the request ended, before its end leaves.

        Args:
            decision: The record.
            conversation: What was asked.
            text: What was answered.
        """
