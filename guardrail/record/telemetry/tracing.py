"""Spans and metrics of guarded requests, through the OpenTelemetry API alone.

No SDK is configured here; without one all of this does nothing. It observes and feeds nothing back:
a telemetry error is logged once and swallowed. Parents are passed explicitly, since the engine is a
generator that any thread may drive. Words stay out unless both the environment variable
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` and the policy ask for them; pixels always do.
Keyed digests stand for both: those of the audit log where its key is to be found, else of a key
that this process drew and forgets.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode

from guardrail.errors import AuditError, Escalation
from guardrail.record.decision import Decision, WatchRecord
from guardrail.record.digests import RequestDigests, digests_of
from guardrail.record.failure import Failure
from guardrail.record.keys import AuditKey, find_key, new_key
from guardrail.record.telemetry import names
from guardrail.record.telemetry.metrics import Metrics
from guardrail.record.version import __version__
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Usage
from guardrail.request.settings import GenerationSettings

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Tracing:
    """Where an engine's spans and metrics go.

    Args:
        tracer: Makes the spans; the global provider's by default, also if it is set later.
        meter: Makes the instruments; likewise.
    """

    def __init__(
        self, *, tracer: trace.Tracer | None = None, meter: metrics.Meter | None = None
    ) -> None:
        version = __version__
        self._logged = False
        self._tracer = tracer or trace.get_tracer("guardrail", version, schema_url=names.SCHEMA_URL)
        meter = meter or metrics.get_meter("guardrail", version, schema_url=names.SCHEMA_URL)
        self._metrics = self.safely(lambda: Metrics(meter), None)
        self._digest_key: AuditKey | None = None

    def request(
        self,
        model: str,
        settings: GenerationSettings,
        *,
        conversation: Conversation | None = None,
        capture_content: bool = False,
        context: Context | None = None,
        operation: str = "chat",
    ) -> RequestTrace:
        """Begins a request's trace, under the span that is active now.

        Args:
            model: The model's name.
            settings: How it is to decode.
            conversation: What was asked; its words are recorded only if content is captured.
            capture_content: Whether the policy allows words to be recorded. The environment
                variable must ask for them, too.
            context: The parent's context, where it is not the current one.
            operation: `chat`, or `apply_guardrail` where nothing is to be answered.
        """
        words = capture_content and _environment_captures()
        return RequestTrace(self, model, settings, conversation, words, context, operation)

    def digests(self, conversation: Conversation) -> RequestDigests:
        """Returns the keyed digests of a request."""
        if self._digest_key is None:
            self._digest_key = _digest_key()
        return digests_of(conversation, None, self._digest_key)

    def safely(self, work: Callable[[], _Result], otherwise: _Result) -> _Result:
        """Runs `work`; if telemetry fails, says so once and returns `otherwise`."""
        try:
            return work()
        except Exception:
            if not self._logged:
                self._logged = True
                _log.warning("telemetry failed; requests go on without it", exc_info=True)
            return otherwise


class RequestTrace:
    """The spans of one request: `chat {model}` over `guardrail.verdict` and `guardrail.decode`.

    Under an active chat span (another instrumentor's) no second one is opened: the two phases
    become its children and carry the attributes. `end` ends the spans, at the times they were left.

    Attributes:
        trace_id: 32 hexadecimal digits; None where nothing is recorded.
    """

    def __init__(
        self,
        tracing: Tracing,
        model: str,
        settings: GenerationSettings,
        conversation: Conversation | None,
        words: bool,
        context: Context | None,
        operation: str,
    ) -> None:
        self._operation = operation
        self._tracing, self._model, self._words = tracing, model, words
        self._conversation = conversation
        self._started = time.perf_counter()
        self._phases: list[_Phase] = []
        self._ended = False
        self._parent = context if context is not None else otel_context.get_current()
        self._chat: Span | None = None
        self.trace_id: str | None = None
        tracing.safely(lambda: self._begin(settings), None)

    def _begin(self, settings: GenerationSettings) -> None:
        active = trace.get_current_span(self._parent)
        if self._operation != "chat" or not _is_chat(active):
            active = self._chat = self._tracing._tracer.start_span(
                f"{self._operation} {self._model}".strip(),
                context=self._parent,
                kind=SpanKind.INTERNAL,
                attributes=names.request_attributes(self._model, settings, self._operation),
            )
            self._parent = trace.set_span_in_context(active, self._parent)
        if active.is_recording():
            self.trace_id = f"{active.get_span_context().trace_id:032x}"

    def phase(self, name: str) -> _Phase:
        """Returns a with-block for one phase's span, a child of this request's.

        The verdict's span is current inside its block, so that a judge's own spans become its
        children. The decoding's is not: that block is left and entered again at every token, and
        the caller's context must not change between two of them.

        Args:
            name: `guardrail.verdict` or `guardrail.decode`.
        """
        nothing: Span = INVALID_SPAN
        span = self._tracing.safely(
            lambda: self._tracing._tracer.start_span(
                name, context=self._parent, attributes={names.SPAN_KIND: "GUARDRAIL"}
            ),
            nothing,
        )
        begun = _Phase(self._tracing, name, span, self._parent, attach=name == names.VERDICT)
        self._phases.append(begun)
        return begun

    def note_reading(self, reading: WatchRecord) -> None:
        """Adds an event to the decoding's span: a reading of the answer as far as it has come."""
        self._tracing.safely(
            lambda: self._phases[-1].span.add_event(names.WATCH, names.reading_attributes(reading)),
            None,
        )

    def end(
        self,
        decision: Decision | None,
        usage: Usage | None,
        error: BaseException | None = None,
        *,
        text: str | None = None,
    ) -> None:
        """Sets all attributes, ends the spans and records the metrics; a second call does nothing.

        Args:
            decision: The record; None if the request failed before there was one.
            usage: Its tokens.
            error: What failed it. An `Escalation` is a decision, not a failure.
            text: The answer; recorded only if content is captured.
        """
        if self._ended:
            return
        self._ended = True
        if isinstance(error, Escalation):
            error = None
        duration_s = time.perf_counter() - self._started
        self._tracing.safely(lambda: self._annotate(decision, usage, error, text), None)
        for phase in self._phases:
            self._tracing.safely(phase.end, None)
        if self._chat is not None:
            self._tracing.safely(self._chat.end, None)
        metrics_ = self._tracing._metrics
        if metrics_ is not None:
            self._tracing.safely(
                lambda: metrics_.record(
                    self._model,
                    decision,
                    usage,
                    duration_s=duration_s,
                    error=error,
                    context=self._parent,
                    operation=self._operation,
                ),
                None,
            )

    def fail(self, error: BaseException, failure: Failure) -> None:
        """Ends a request that failed before it could be judged; under somebody else's chat span a
        verdict's span stands for it.

        Args:
            error: What failed it.
            failure: Its record.
        """
        if self._chat is None:
            self.phase(names.VERDICT).failed = True
        whole = self._chat or self._phases[-1].span
        self._tracing.safely(lambda: _set(whole, names.failure_attributes(failure)), None)
        self.end(None, None, error)

    def _annotate(
        self,
        decision: Decision | None,
        usage: Usage | None,
        error: BaseException | None,
        text: str | None,
    ) -> None:
        if error is not None:
            for span in (self._chat, *(phase.span for phase in self._phases if phase.failed)):
                _fail(span, error)
        if decision is None:
            return
        for phase in self._phases:
            if phase.name == names.VERDICT:
                _set(phase.span, names.verdict_attributes(decision))
            elif decision.steps:
                summary = names.steps_summary(decision, content=self._words)
                _set(phase.span, {"guardrail.steps": summary})
        # Under someone else's chat span, the last phase stands in for a chat span of ours.
        whole = self._chat or (self._phases[-1].span if self._phases else None)
        if whole is None or not whole.is_recording():
            return
        _set(whole, names.decision_attributes(decision))
        _set(whole, names.response_attributes(decision, usage))
        if self._conversation is not None:
            _set(whole, names.digest_attributes(self._tracing.digests(self._conversation)))
        if self._words:
            _set(whole, names.content_attributes(self._conversation, text))


class _Phase:
    """One phase's span. Leaving the block notes the time; the span ends with its request."""

    def __init__(
        self, tracing: Tracing, name: str, span: Span, parent: Context, *, attach: bool
    ) -> None:
        self.name, self.span, self.failed = name, span, False
        self._tracing, self._parent, self._attach = tracing, parent, attach
        self._token: Any = None
        self._left_ns: int | None = None

    def __enter__(self) -> Span:
        if self._attach:
            inside = trace.set_span_in_context(self.span, self._parent)
            self._token = self._tracing.safely(lambda: otel_context.attach(inside), None)
        return self.span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left_ns = time.time_ns()
        self.failed = error is not None and not isinstance(error, GeneratorExit)
        if self._token is not None:
            self._tracing.safely(lambda: otel_context.detach(self._token), None)
            self._token = None

    def end(self) -> None:
        """Ends the span at the time at which its block was left."""
        self.span.end(end_time=self._left_ns)


def _digest_key() -> AuditKey:
    try:
        key = find_key()
        if key is not None:
            key.digest(b"")  # a public key makes none
            return key
    except AuditError:
        pass
    return new_key()


def _environment_captures() -> bool:
    return os.environ.get(names.CAPTURE_VARIABLE, "").strip().lower() in names.CAPTURE_IN_SPANS


def _is_chat(span: Span) -> bool:
    """Whether a span already stands for this model call. The API alone cannot read a span, so the
    SDK's attributes are looked at where they are to be seen.
    """
    if not span.is_recording():
        return False
    attributes = getattr(span, "attributes", None) or {}
    return (
        attributes.get(names.OPERATION) == "chat"
        or attributes.get(names.SPAN_KIND) == "LLM"
        or str(getattr(span, "name", "")).startswith("chat ")
    )


def _fail(span: Span | None, error: BaseException) -> None:
    """Marks a span as failed by the error's kind. Its message may quote the request: not set."""
    if span is not None and span.is_recording():
        span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))


def _set(span: Span, attributes: dict[str, Any]) -> None:
    if span.is_recording():
        span.set_attributes(attributes)
