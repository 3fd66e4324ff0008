"""What a collector receives: real exporters over HTTP, a receiver on loopback that reads OTLP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from guardrail.steering.safecode import SafeCoDe
from tests.families import build, picture

CANARY = "canary-51c0"


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to `/v1/traces` and `/v1/metrics`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []

    def received(self, path: str, kind: Any) -> list[Any]:
        """The messages posted to a path."""
        return [kind.FromString(body) for where, body in self.bodies if where == path]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert isinstance(self.server, Receiver)
        self.server.bodies.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def providers(host: str) -> tuple[TracerProvider, MeterProvider]:
    """The SDK as an operator sets it up, sending to `host`."""
    spans = TracerProvider()
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{host}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{host}/v1/metrics"))
    return spans, MeterProvider(metric_readers=[reader])


def _attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value for each in span.attributes}


def test_a_collector_receives_the_decision_and_none_of_the_words(receiver: Receiver) -> None:
    host = f"http://127.0.0.1:{receiver.server_port}"
    spans, meters = providers(host)
    model, processor = build("llava")
    guarded = SafeCoDe(
        model=model,
        processor=processor,
        judge=lambda request: {**dict.fromkeys(request.questions, 0.9), CANARY: 0.9},
        tracing=Tracing(tracer=spans.get_tracer("test"), meter=meters.get_meter("test")),
    )
    asked = question(f"is {CANARY} safe?", [load_picture(picture(0))])
    settings = GenerationSettings(max_new_tokens=4, temperature=0)
    alone = guarded.answer(asked, settings)
    batched = guarded.batch([asked, question("hello")], settings)
    for _ in guarded.stream(asked, settings):
        break  # cancelled by closing
    spans.shutdown()  # sends what is left
    meters.shutdown()

    sent = receiver.received("/v1/traces", ExportTraceServiceRequest)
    found = [
        span
        for message in sent
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    chats = {span.trace_id.hex(): span for span in found if span.name.startswith("chat ")}
    assert len(chats) == 4
    for answer in (alone, *batched):
        chat = _attributes(chats[str(answer.decision.trace_id)])
        assert chat["guardrail.action"].string_value == answer.decision.action
        assert chat["guardrail.request_id"].string_value == answer.decision.request_id
        assert chat["guardrail.verdict.p_unsafe"].double_value == answer.decision.verdict.p_unsafe
        assert len(chat["guardrail.request.question_digest"].string_value) == 64
    for name in ("guardrail.verdict", "guardrail.decode"):
        parts = [span for span in found if span.name == name]
        assert {span.parent_span_id for span in parts} == {s.span_id for s in chats.values()}
    digests = [
        _attributes(chats[str(answer.decision.trace_id)])["guardrail.request.question_digest"]
        for answer in (alone, batched[0], batched[1])
    ]
    assert digests[0] == digests[1] != digests[2]

    measured = receiver.received("/v1/metrics", ExportMetricsServiceRequest)
    names = {
        metric.name
        for message in measured
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"guardrail.requests", "gen_ai.client.operation.duration"} <= names
    assert not any(CANARY.encode() in body for _, body in receiver.bodies)
