"""The seam for whoever must see a request's record before its answer is out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from guardrail.record.decision import Decision
from guardrail.record.failure import Failure
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


@runtime_checkable
class FailureObserver(Protocol):
    """An observer that also sees requests which failed before they could be judged."""

    def failed(self, failure: Failure) -> None:
        """Called when a request has failed, before its error reaches the caller.

        Args:
            failure: The record, without words unless the policy captures content.
        """
