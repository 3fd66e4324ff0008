"""What every guard puts on record of its requests, and where: spans, metrics and audit logs.

It judges nothing, and does not know who chooses the policies.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.context import Context

from guardrail.judging.unjudged import Preparation, Unjudged
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.record.audit import AuditLog
from guardrail.record.audit.observer import AuditObserver, log_path
from guardrail.record.decision import Decision
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation


class Recorder(ABC):
    """Puts requests on record. Safe to use from several threads.

    Args:
        name: What is guarded, in records and spans.
        tracing: Where spans and metrics go; OpenTelemetry's global providers by default.
        observer: Sees every record; by default the audit log, if the policy or
            `GUARDRAIL_AUDIT_LOG` names one.
    """

    def __init__(self, name: str, *, tracing: Tracing | None, observer: Observer | None) -> None:
        self.model_name = name
        self.tracing = tracing or Tracing()
        self.observer = observer
        self._logs: dict[str, AuditLog] = {}
        self._observers: dict[tuple[str, str], AuditObserver] = {}
        self._opening = threading.Lock()

    @abstractmethod
    def policy_for(
        self, policy: str | Path | Policy | None = None, metadata: Metadata | None = None
    ) -> Policy:
        """Returns the policy that a request will have."""

    @contextmanager
    def preparing(
        self, *, operation: str = "chat", context: Context | None = None
    ) -> Iterator[Preparation]:
        """A with-block in which a request is made ready; if it fails there, that is on record.

        What comes after the block has a record of its own. Yields what is known of the request,
        for the block to fill in.

        Args:
            operation: `chat`, or `apply_guardrail` where nothing is to be answered.
            context: The request's OpenTelemetry context; the current one without it.
        """
        known = Preparation(operation=operation)
        try:
            yield known
        except Exception as error:
            self._unjudged().failed(
                error, known, fallback=lambda: self.policy_for(None), context=context
            )
            raise

    def served(
        self, conversation: Conversation, decision: Decision, text: str, *, policy: Policy
    ) -> Decision:
        """Records a request whose answer was given before and kept, and returns its decision.

        Args:
            conversation: What was asked.
            decision: What was decided when the answer was made.
            text: The answer.
            policy: The policy in force.

        Raises:
            AuditError: The record cannot be kept.
        """
        return self._unjudged().served(conversation, decision, text, policy)

    def _unjudged(self) -> Unjudged:
        return Unjudged(self.model_name, self.tracing, self.observer_for)

    def observer_for(self, policy: Policy) -> Observer | None:
        """Returns who sees the records of requests under `policy`."""
        if self.observer is not None:
            return self.observer
        path = log_path(policy)
        if path is None:
            return None
        with self._opening:
            if path not in self._logs:
                self._logs[path] = AuditLog(path)
            watched = (path, policy.digest)
            if watched not in self._observers:
                self._observers[watched] = AuditObserver(self._logs[path], policy)
            return self._observers[watched]

    def reopen_audit_logs(self) -> bool:
        """Has every audit log that was renamed begun anew; a signal may call it.

        Returns:
            As `AuditLog.reopen`, for all of them.
        """
        # INVARIANT: no lock: the thread that a signal interrupts may hold it.
        done = [log.reopen() for log in tuple(self._logs.values())]
        return all(done)
