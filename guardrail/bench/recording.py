"""What tracing and the audit log cost: the same guarded answer, recorded and not, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from guardrail.bench.subject import Subject
from guardrail.bench.variants import always
from guardrail.errors import SettingsError
from guardrail.record.audit import AuditLog
from guardrail.record.audit.observer import AuditObserver
from guardrail.record.keys import new_key
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation
from guardrail.steering.safecode import SafeCoDe

ROUNDS = 60
"""Pairs of answers, at least: the cost is smaller than what a single pair can show."""


@dataclass(frozen=True)
class RecordingCost:
    """What a guarded answer takes longer when every span, metric and audit record is written.

    Attributes:
        new_tokens: Length of the answers.
        rounds: Pairs of answers.
        plain_ms: Median time of an answer that is not recorded.
        recorded_ms: Median time of one that is.
        share: Median over the rounds of recorded over not recorded, less one.
        low: First quartile of the same.
        high: Third quartile.
    """

    new_tokens: int
    rounds: int
    plain_ms: float
    recorded_ms: float
    share: float
    low: float
    high: float


def time_recording(
    subject: Subject,
    conversation: Conversation,
    *,
    new_tokens: int,
    repeats: int,
    progress: Callable[[str], None],
) -> RecordingCost:
    """Returns what recording costs; which of a pair comes first alternates.

    Raises:
        SettingsError: OpenTelemetry's SDK is not installed.
    """
    plain: list[float] = []
    recorded: list[float] = []
    rounds = max(ROUNDS, repeats)
    with _recorded(subject) as twin:
        for turn in range(rounds + 2):
            progress(f"recording: round {turn} of {rounds}")
            pair = [(subject, plain), (twin, recorded)]
            for each, times in pair if turn % 2 else pair[::-1]:
                run = always(each, conversation, new_tokens)
                if turn >= 2:  # the first two warm up
                    times.append(run.wall_s * 1000)
    shares = [after / before - 1 for after, before in zip(recorded, plain, strict=True)]
    low, median, high = statistics.quantiles(shares, n=4)
    return RecordingCost(
        new_tokens, rounds, statistics.median(plain), statistics.median(recorded), median, low, high
    )


@contextmanager
def _recorded(subject: Subject) -> Iterator[Subject]:
    """The same model with the SDK's tracer and meter and a durable audit log."""
    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    except ImportError as error:
        raise SettingsError(
            "--recording needs OpenTelemetry's SDK: pip install 'safecode-guardrail[otel]'"
        ) from error
    spans = TracerProvider()
    spans.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    meters = MeterProvider(metric_readers=[InMemoryMetricReader()])
    engine = subject.engine
    with TemporaryDirectory() as folder:
        log = AuditLog(Path(folder) / "audit.db", key=new_key())
        twin = SafeCoDe(
            backend=engine.backend,
            tracing=Tracing(tracer=spans.get_tracer("bench"), meter=meters.get_meter("bench")),
            observer=AuditObserver(log, subject.policies.always),
            name=engine.model_name,
        )
        try:
            yield replace(subject, engine=twin)
        finally:
            log.close()
            spans.shutdown()
            meters.shutdown()
