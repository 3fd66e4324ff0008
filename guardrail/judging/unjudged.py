"""Records of requests that no judge saw: those that failed before, and those that a cache answered.

A `Draft` needs a conversation and a policy; here there may be neither. It decides nothing.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.context import Context

from guardrail.errors import AuditError
from guardrail.policy import Policy
from guardrail.policy.terms import Mode
from guardrail.record.decision import Decision, PolicyRef
from guardrail.record.failure import Failure, error_type_of, reason_of
from guardrail.record.observer import FailureObserver, Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

_log = logging.getLogger(__name__)
_UNKNOWN = GenerationSettings()


@dataclass
class Preparation:
    """What is known of a request while it is being made ready; filled in by whoever does so.

    Attributes:
        policy: The policy that was chosen for it.
        mode: How it is applied.
        operation: `chat`, or `apply_guardrail` where nothing is to be answered.
    """

    policy: Policy | None = None
    mode: Mode | None = None
    operation: str = "chat"


@dataclass(frozen=True)
class Unjudged:
    """Puts on record what went past the judge.

    Attributes:
        model_name: What is guarded, in records and spans.
        tracing: Where spans and metrics go.
        observer: Returns who sees the records, and whether words are theirs to keep.
    """

    model_name: str
    tracing: Tracing
    observer: Callable[[Policy], Observer | None]

    def failed(
        self,
        error: BaseException,
        known: Preparation,
        *,
        fallback: Callable[[], Policy],
        context: Context | None = None,
    ) -> None:
        """Records a request that failed before it could be judged; raises nothing.

        Its error is on its way to the caller, who gets no answer: that its record cannot be kept
        is logged.

        Args:
            error: What failed it.
            known: What was known by then.
            fallback: Returns the policy that says where records go, where none was chosen.
            context: The OpenTelemetry context of the request.
        """
        span = self.tracing.request(
            self.model_name, _UNKNOWN, context=context, operation=known.operation
        )
        policy = known.policy
        failure = Failure(
            request_id=uuid.uuid4().hex,
            model=self.model_name,
            operation=known.operation,
            policy=reference(policy) if policy is not None else None,
            mode=known.mode or (policy.mode if policy is not None else None),
            error_type=error_type_of(error),
            reason=reason_of(error),
            trace_id=span.trace_id,
        )
        span.fail(error, failure)
        try:
            recording = policy if policy is not None else fallback()
            seeing = self.observer(recording)
            if recording.capture.content:
                failure = failure.model_copy(update={"detail": str(error)})
            if isinstance(seeing, FailureObserver):
                seeing.failed(failure)
        except Exception as unrecorded:
            _log.error(
                "a request failed (%s), and its record could not be kept: %s",
                failure.error_type,
                type(unrecorded).__name__,
            )
            _log.debug("the record's error", exc_info=unrecorded)

    def served(
        self,
        conversation: Conversation,
        decision: Decision,
        text: str,
        policy: Policy,
        *,
        context: Context | None = None,
    ) -> Decision:
        """Records a request whose answer a cache gave, and returns the record.

        Args:
            conversation: What was asked.
            decision: What was decided when the answer was made.
            text: The answer.
            policy: In force now.
            context: The OpenTelemetry context of the request.

        Raises:
            AuditError: The record cannot be kept.
        """
        started = time.perf_counter()
        span = self.tracing.request(
            self.model_name,
            _UNKNOWN,
            conversation=conversation,
            capture_content=policy.capture.content,
            context=context,
        )
        record = decision.model_copy(
            update={
                "request_id": uuid.uuid4().hex,
                "cached_from": decision.cached_from or decision.request_id,
                "trace_id": span.trace_id,
                "timings_ms": {"total": round((time.perf_counter() - started) * 1000, 3)},
            }
        )
        refusal: AuditError | None = None
        try:
            observer = self.observer(policy)
            if observer is not None:
                observer.concluded(record, conversation, text)
        except AuditError as error:
            if policy.audit.on_error == "fail":
                refusal = error
                raise
            line = "the audit log could not be written"
            _log.error("%s", line, exc_info=True)
            record = record.model_copy(update={"errors": [*record.errors, line]})
        finally:
            span.end(record, None, refusal, text=text)
        return record


def reference(policy: Policy) -> PolicyRef:
    """Returns how records name a policy."""
    return PolicyRef(name=policy.name, version=policy.version, digest=policy.digest)
