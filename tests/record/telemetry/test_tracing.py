from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode

from guardrail import ChatSafeCoDe
from guardrail.errors import Escalation, ModelError
from guardrail.record.decision import (
    Candidate,
    ContrastRecord,
    Decision,
    Outcome,
    PolicyRef,
    StepRecord,
    VerdictRecord,
    WatchRecord,
)
from guardrail.record.digests import digests_of
from guardrail.record.keys import KEY_VARIABLE, new_key
from guardrail.record.telemetry.names import CAPTURE_VARIABLE, DRAFT_MIRROR, result_of
from guardrail.record.telemetry.tracing import RequestTrace, Tracing
from guardrail.request.conversation import question
from guardrail.request.delta import Usage
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from guardrail.steering.safecode import SafeCoDe
from tests.families import build, picture

CANARY = "canary-7f3a"
SETTINGS = GenerationSettings(max_new_tokens=9, temperature=0.5, seed=3)


class Telescope:
    """In-memory exporters, and a `Tracing` that writes to them."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])
        self.tracer = self.provider.get_tracer("test")
        self.tracing = Tracing(tracer=self.tracer, meter=self.meters.get_meter("test"))

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def everything(self) -> str:
        """All that was exported, as text."""
        spans = [span.to_json() for span in self.exporter.get_finished_spans()]
        data = self.reader.get_metrics_data()
        return "\n".join([*spans, data.to_json() if data else ""])


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    made = Telescope()
    yield made
    made.provider.shutdown()
    made.meters.shutdown()


def decision(**changes: Any) -> Decision:
    step = StepRecord(
        step=0,
        token=f" {CANARY}",
        token_unguarded=" Sorry",
        refusal_mass_before=0.4,
        refusal_mass_after=0.1,
        divergence=0.02,
        top=[Candidate(token=f" {CANARY}", real=0.5, noised=0.4, guarded=0.7)],
    )
    given: dict[str, Any] = {
        "request_id": "r1",
        "mode": "enforce",
        "model": "tiny",
        "policy": PolicyRef(name="baseline", version=1, digest="d" * 64),
        "verdict": VerdictRecord(
            label="unsafe",
            p_unsafe=0.9,
            categories={"weapons": 0.9, "self-harm": 0.1},
            source="self",
        ),
        "action": "refuse",
        "category": "weapons",
        "reasons": [f"reason {CANARY}"],
        "confidence": 0.75,
        "contrast": ContrastRecord(applied=True, alpha=0.3, noise_std=0.1, steps=5),
        "steps": [step],
        "outcome": Outcome(refused=True, finish_reason="stop", output_tokens=4),
        "timings_ms": {"judge": 30.0, "noised": 20.0, "first_token": 70.0, "total": 100.0},
        "errors": [],
    }
    return Decision(**{**given, **changes})


def run(
    request: RequestTrace, made: Decision | None, error: BaseException | None = None, **end: Any
) -> None:
    with request.phase("guardrail.verdict"):
        pass
    with request.phase("guardrail.decode"):
        pass
    request.end(made, Usage(11, 4), error, **end)


# Spans -------------------------------------------------------------------------------------------


def test_chat_span_with_two_children(telescope: Telescope) -> None:
    request = telescope.tracing.request("tiny", SETTINGS)
    run(request, decision())
    spans = telescope.spans
    assert set(spans) == {"chat tiny", "guardrail.verdict", "guardrail.decode"}
    chat = spans["chat tiny"]
    assert chat.kind is SpanKind.INTERNAL
    for name in ("guardrail.verdict", "guardrail.decode"):
        assert spans[name].parent is not None
        assert spans[name].parent.span_id == chat.context.span_id
        assert spans[name].context.trace_id == chat.context.trace_id
        assert spans[name].end_time <= chat.end_time
    assert request.trace_id == f"{chat.context.trace_id:032x}"


def test_chat_spans_attributes(telescope: Telescope) -> None:
    run(telescope.tracing.request("tiny", SETTINGS), decision())
    attributes = telescope.spans["chat tiny"].attributes
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "safecode",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 3,
        "gen_ai.response.model": "tiny",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 4,
        "openinference.span.kind": "GUARDRAIL",
        "guardrail.policy.name": "baseline",
        "guardrail.policy.digest": "d" * 64,
        "guardrail.mode": "enforce",
        "guardrail.action": "refuse",
        "guardrail.result": "deny",
        "guardrail.category": "weapons",
        "guardrail.confidence": 0.75,
        "guardrail.verdict.label": "unsafe",
        "guardrail.verdict.p_unsafe": 0.9,
        "guardrail.verdict.category.self-harm": 0.1,
        "guardrail.contrast.applied": True,
        "guardrail.contrast.alpha": 0.3,
        "guardrail.steps.count": 1,
        "guardrail.steps.changed": 1,
        "guardrail.outcome.refused": True,
        "guardrail.timings_ms.judge": 30.0,
    }
    assert {name: attributes.get(name) for name in expected} == expected
    for draft, ours in DRAFT_MIRROR.items():
        assert attributes[draft] == attributes[ours]


def test_the_guided_steps_are_one_summary_without_words(telescope: Telescope) -> None:
    run(telescope.tracing.request("tiny", SETTINGS), decision())
    span = telescope.spans["guardrail.decode"]
    assert not span.events
    [step] = json.loads(str(span.attributes["guardrail.steps"]))
    assert step["refusal_mass_before"] == 0.4
    assert step["divergence"] == 0.02
    assert step["changed"] is True
    assert step["top"] == [{"real": 0.5, "noised": 0.4, "guarded": 0.7}]
    assert telescope.spans["guardrail.verdict"].attributes["guardrail.verdict.label"] == "unsafe"


def test_no_second_chat_span_under_an_active_one(telescope: Telescope) -> None:
    with telescope.tracer.start_as_current_span(
        "chat tiny", attributes={"gen_ai.operation.name": "chat"}
    ) as active:
        request = telescope.tracing.request("tiny", SETTINGS)
        run(request, decision())
        assert "guardrail.action" not in (active.attributes or {})  # type: ignore[attr-defined]
    names = [span.name for span in telescope.exporter.get_finished_spans()]
    assert names.count("chat tiny") == 1
    spans = telescope.spans
    for name in ("guardrail.verdict", "guardrail.decode"):
        assert spans[name].parent.span_id == active.get_span_context().span_id
    assert spans["guardrail.decode"].attributes["guardrail.action"] == "refuse"
    assert spans["guardrail.decode"].attributes["gen_ai.usage.output_tokens"] == 4
    assert request.trace_id == f"{active.get_span_context().trace_id:032x}"


def test_a_blocked_request_under_an_active_chat_span_is_still_told(telescope: Telescope) -> None:
    with telescope.tracer.start_as_current_span("chat other"):
        request = telescope.tracing.request("tiny", SETTINGS)
        with request.phase("guardrail.verdict"):
            pass
        request.end(decision(action="block", steps=[]), Usage(3, 0))
    assert telescope.spans["guardrail.verdict"].attributes["guardrail.action"] == "block"


def test_openinferences_span_counts_as_a_chat_span(telescope: Telescope) -> None:
    kind = {"openinference.span.kind": "LLM"}
    with telescope.tracer.start_as_current_span("ChatSafeCoDe", attributes=kind):
        run(telescope.tracing.request("tiny", SETTINGS), decision())
    assert "chat tiny" not in telescope.spans


def test_any_other_active_span_becomes_the_parent(telescope: Telescope) -> None:
    with telescope.tracer.start_as_current_span("my agent") as agent:
        run(telescope.tracing.request("tiny", SETTINGS), decision())
    assert telescope.spans["chat tiny"].parent.span_id == agent.get_span_context().span_id


def test_a_given_context_is_the_parent(telescope: Telescope) -> None:
    parent = telescope.tracer.start_span("batch item")
    context = trace.set_span_in_context(parent)
    run(telescope.tracing.request("tiny", SETTINGS, context=context), decision())
    assert telescope.spans["chat tiny"].parent.span_id == parent.get_span_context().span_id


def test_a_judges_own_spans_are_the_verdicts_children(telescope: Telescope) -> None:
    request = telescope.tracing.request("tiny", SETTINGS)
    before = trace.get_current_span()
    with request.phase("guardrail.verdict") as span:
        assert trace.get_current_span() is span
        with telescope.tracer.start_as_current_span("chat judge"):
            pass
    assert trace.get_current_span() is before
    request.end(decision(), None)
    verdict = telescope.spans["guardrail.verdict"]
    assert telescope.spans["chat judge"].parent.span_id == verdict.context.span_id


def test_decoding_never_changes_the_callers_context(telescope: Telescope) -> None:
    def tokens() -> Iterator[int]:
        request = telescope.tracing.request("tiny", SETTINGS)
        with request.phase("guardrail.decode"):
            yield from range(3)
        request.end(decision(), Usage(1, 3))

    current = otel_context.get_current()
    for _ in tokens():
        assert otel_context.get_current() == current


def test_a_request_driven_by_several_threads(
    telescope: Telescope, caplog: pytest.LogCaptureFixture
) -> None:
    def tokens() -> Iterator[int]:
        request = telescope.tracing.request("tiny", SETTINGS)
        with request.phase("guardrail.verdict"):
            pass
        yield 0
        with request.phase("guardrail.decode"):
            yield from range(3)
        request.end(decision(), Usage(1, 3))

    stream = tokens()
    for _ in range(5):
        thread = threading.Thread(target=next, args=(stream, None))
        thread.start()
        thread.join()
    assert set(telescope.spans) == {"chat tiny", "guardrail.verdict", "guardrail.decode"}
    assert not caplog.records


def test_an_abandoned_stream_still_ends_its_spans(telescope: Telescope) -> None:
    def tokens() -> Iterator[int]:
        request = telescope.tracing.request("tiny", SETTINGS)
        try:
            with request.phase("guardrail.decode"):
                yield from range(3)
        finally:
            cancelled = Outcome(refused=False, finish_reason="cancelled", output_tokens=1)
            request.end(decision(outcome=cancelled), Usage(1, 1))

    stream = tokens()
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    span = telescope.spans["guardrail.decode"]
    assert span.status.status_code is StatusCode.UNSET
    chat = telescope.spans["chat tiny"]
    assert chat.attributes["guardrail.outcome.finish_reason"] == "cancelled"


def test_errors_are_named_and_their_words_kept_out(telescope: Telescope) -> None:
    request = telescope.tracing.request("tiny", SETTINGS)
    error = ModelError(f"cannot serve {CANARY}")
    with pytest.raises(ModelError), request.phase("guardrail.verdict"):
        raise error
    request.end(None, None, error)
    for name in ("chat tiny", "guardrail.verdict"):
        span = telescope.spans[name]
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ModelError"
    assert CANARY not in telescope.everything()
    points = telescope.points()["gen_ai.client.operation.duration"]
    assert points[0].attributes["error.type"] == "ModelError"


def test_an_escalation_is_a_decision_not_an_error(telescope: Telescope) -> None:
    made = decision(action="escalate", outcome=Outcome(finish_reason="escalated"))
    run(telescope.tracing.request("tiny", SETTINGS), made, Escalation("ask a human", made))
    chat = telescope.spans["chat tiny"]
    assert chat.status.status_code is StatusCode.UNSET
    assert chat.attributes["guardrail.result"] == "escalate"


def test_shadow_mode_is_an_audit(telescope: Telescope) -> None:
    run(telescope.tracing.request("tiny", SETTINGS), decision(mode="shadow"))
    assert telescope.spans["chat tiny"].attributes["guardrail.result"] == "audit"


def test_ending_twice_ends_once(telescope: Telescope) -> None:
    request = telescope.tracing.request("tiny", SETTINGS)
    request.end(decision(), Usage(1, 1))
    request.end(None, None, RuntimeError("late"))
    assert len(telescope.exporter.get_finished_spans()) == 1
    assert telescope.points()["guardrail.requests"][0].value == 1


# Content -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "policy", "told"),
    [
        (None, False, False),
        (None, True, False),
        ("SPAN_ONLY", False, False),
        ("NO_CONTENT", True, False),
        ("EVENT_ONLY", True, False),
        ("SPAN_ONLY", True, True),
        ("span_and_event", True, True),
        ("true", True, True),
    ],
)
def test_words_need_the_environment_and_the_policy(
    telescope: Telescope,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    policy: bool,
    told: bool,
) -> None:
    monkeypatch.delenv(CAPTURE_VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(CAPTURE_VARIABLE, variable)
    asked = question(f"tell me {CANARY}", [load_picture(picture(0))], system=f"be {CANARY}")
    request = telescope.tracing.request(
        "tiny", SETTINGS, conversation=asked, capture_content=policy
    )
    run(request, decision(), text=f"said {CANARY}")
    assert (CANARY in telescope.everything()) is told
    attributes = telescope.spans["chat tiny"].attributes
    if told:
        [system, user] = json.loads(str(attributes["gen_ai.input.messages"]))
        assert system["role"] == "system"
        assert user["parts"][0] == {
            "type": "blob",
            "modality": "image",
            "sha256": asked.pictures[0].digest,
        }
        assert user["parts"][1]["content"] == f"tell me {CANARY}"
        assert CANARY in str(attributes["gen_ai.output.messages"])
        assert CANARY in str(telescope.spans["guardrail.decode"].attributes["guardrail.steps"])
    else:
        assert "gen_ai.input.messages" not in attributes


def test_an_answer_that_was_turned_is_denied_as_one_that_was_ended() -> None:
    steered = WatchRecord(tokens=3, label="unsafe", act="steer")
    for refused, finish, result in (
        (True, "stop", "deny"),
        (False, "stop", "allow"),
        (False, "blocked", "deny"),
    ):
        made = decision(
            action="plain",
            outcome=Outcome(refused=refused, finish_reason=finish),
            watch=[steered],
        )
        assert result_of(made) == result
    assert result_of(made.model_copy(update={"mode": "shadow"})) == "audit"


# Metrics -----------------------------------------------------------------------------------------


def test_metrics(telescope: Telescope) -> None:
    for made in (
        decision(),
        decision(
            action="comply",
            category=None,
            verdict=VerdictRecord(label="safe", p_unsafe=0.1, source="self"),
            outcome=Outcome(refused=False, finish_reason="length", output_tokens=4),
            watch=[
                WatchRecord(tokens=2, label="safe", act="release"),
                WatchRecord(tokens=3, label="unsafe", act="record"),
                WatchRecord(tokens=4, label="safe", act="release", over=True),
            ],
        ),
        decision(
            action="block",
            verdict=VerdictRecord(label="unavailable", source="self", error="no idea"),
            outcome=Outcome(finish_reason="blocked"),
            timings_ms={"total": 5.0},
        ),
    ):
        run(telescope.tracing.request("tiny", SETTINGS), made)
    points = telescope.points()

    def total(name: str, **where: str) -> float:
        return sum(
            getattr(point, "value", None) or getattr(point, "count", 0)
            for point in points[name]
            if all(point.attributes.get(k.replace("__", ".")) == v for k, v in where.items())
        )

    assert total("guardrail.requests") == 3
    assert total("guardrail.decisions", guardrail__action="refuse") == 1
    assert total("guardrail.decisions", guardrail__category="weapons") == 2
    assert total("guardrail.refusals") == 2
    assert total("guardrail.judge.failures", guardrail__verdict__source="self") == 1
    assert total("guardrail.watch.readings", guardrail__watch__act="release") == 2
    assert total("guardrail.watch.readings", guardrail__watch__label="unsafe") == 1
    assert total("guardrail.verdict.p_unsafe") == 2
    assert total("guardrail.overhead") == 2
    assert total("gen_ai.server.time_to_first_token") == 2
    assert total("gen_ai.client.operation.duration", gen_ai__operation__name="chat") == 3
    assert total("gen_ai.client.token.usage", gen_ai__token__type="input") == 3
    overhead = points["guardrail.overhead"]
    assert sum(point.sum for point in overhead) == pytest.approx(0.1)


# When telemetry fails, or is not there -----------------------------------------------------------


def test_without_an_sdk_nothing_happens() -> None:
    request = Tracing(tracer=trace.NoOpTracer()).request("tiny", SETTINGS)
    assert request.trace_id is None
    with request.phase("guardrail.verdict") as span:
        assert not span.is_recording()
    request.end(decision(), Usage(1, 1))


class Broken(trace.NoOpTracer):
    def start_span(self, *args: Any, **options: Any) -> trace.Span:
        raise RuntimeError("the exporter is on fire")


def test_telemetry_errors_are_logged_once_and_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    tracing = Tracing(tracer=Broken())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            request = tracing.request("tiny", SETTINGS)
            assert request.trace_id is None
            with request.phase("guardrail.verdict") as span:
                assert span is INVALID_SPAN
            with request.phase("guardrail.decode"):
                pass
            request.end(decision(), Usage(1, 1))
    assert len(caplog.records) == 1
    assert "telemetry failed" in caplog.text


def test_the_bodys_own_errors_are_not_swallowed() -> None:
    request = Tracing(tracer=Broken()).request("tiny", SETTINGS)
    with pytest.raises(KeyError), request.phase("guardrail.verdict"):
        raise KeyError("mine")


def test_a_broken_meter_leaves_the_spans(caplog: pytest.LogCaptureFixture) -> None:
    class Meter:
        def create_counter(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("no meters today")

        create_histogram = create_counter

    made = Telescope()
    tracing = Tracing(tracer=made.tracer, meter=Meter())  # type: ignore[arg-type]
    run(tracing.request("tiny", SETTINGS), decision())
    assert len(made.spans) == 3
    assert len(caplog.records) == 1


# On a real engine --------------------------------------------------------------------------------


def engine(telescope: Telescope, p: float = 0.05) -> SafeCoDe:
    model, processor = build("llava")
    return SafeCoDe(
        model=model, processor=processor, judge=lambda request: p, tracing=telescope.tracing
    )


def test_an_engines_answer_is_traced(telescope: Telescope) -> None:
    guarded = engine(telescope)
    answer = guarded.ask(f"what is {CANARY}?", [load_picture(picture(0))], max_new_tokens=4)
    chat = telescope.spans[f"chat {guarded.model_name}"]
    assert answer.decision.trace_id == f"{chat.context.trace_id:032x}"
    assert chat.attributes["guardrail.action"] == answer.decision.action
    assert chat.attributes["gen_ai.usage.input_tokens"] == answer.usage.input_tokens
    assert len(json.loads(str(telescope.spans["guardrail.decode"].attributes["guardrail.steps"])))
    assert CANARY not in telescope.everything()


def test_keyed_digests_stand_for_the_words(
    telescope: Telescope, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    monkeypatch.setenv(KEY_VARIABLE, key.spell())
    guarded = engine(telescope)
    asked = question(f"what is {CANARY}?", [load_picture(picture(0))])
    guarded.answer(asked, GenerationSettings(max_new_tokens=2))
    chat = telescope.spans[f"chat {guarded.model_name}"].attributes
    log = digests_of(asked, None, key)
    assert chat["guardrail.request.question_digest"] == log.question
    assert chat["guardrail.request.conversation_digest"] == log.conversation
    assert list(chat["guardrail.request.picture_digests"]) == log.pictures


def test_without_a_usable_key_a_process_draws_one(
    telescope: Telescope, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for bad in ("short", ""):
        monkeypatch.setenv(KEY_VARIABLE, bad)
        monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
        mine = Tracing(tracer=telescope.tracer)
        digests = [mine.digests(question("a")).question for _ in range(2)]
        assert digests[0] == digests[1]
        found.append(digests[0])
    assert found[0] != found[1]


def test_a_stream_closed_early_is_traced_as_cancelled(telescope: Telescope) -> None:
    guarded = engine(telescope)
    stream = guarded.stream(question("hi", [load_picture(picture(0))]), SETTINGS)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    chat = telescope.spans[f"chat {guarded.model_name}"]
    assert chat.attributes["guardrail.outcome.finish_reason"] == "cancelled"
    assert trace.get_current_span() is INVALID_SPAN


def test_every_row_of_a_batch_has_its_own_spans(telescope: Telescope) -> None:
    guarded = engine(telescope)
    answers = guarded.batch([question("a"), question("b")], GenerationSettings(max_new_tokens=2))
    chats = [s for s in telescope.exporter.get_finished_spans() if s.name.startswith("chat ")]
    traces = {f"{span.context.trace_id:032x}" for span in chats}
    assert len(chats) == 2
    assert traces == {answer.decision.trace_id for answer in answers}
    assert trace.get_current_span() is INVALID_SPAN


class Instrumented(ChatSafeCoDe):
    """Every call is under a span of its own, as an instrumentor's are."""

    tracer: Any = None

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        with self.tracer.start_as_current_span(f"run {input}"):
            return super().invoke(input, config, **kwargs)


def test_rows_of_a_batch_are_under_their_own_callers(telescope: Telescope) -> None:
    chat = Instrumented(engine=engine(telescope), tracer=telescope.tracer, max_tokens=2)
    chat.batch(["a", "b", "c"])
    spans = telescope.exporter.get_finished_spans()
    runs = {span.context.span_id: span for span in spans if span.name.startswith("run ")}
    chats = [span for span in spans if span.name.startswith("chat ")]
    assert len(runs) == len(chats) == 3
    assert {span.parent.span_id for span in chats if span.parent} == set(runs)
    for span in chats:
        assert span.parent is not None
        assert span.context.trace_id == runs[span.parent.span_id].context.trace_id
