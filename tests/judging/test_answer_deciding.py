"""A guard decides about answers that somebody else wrote."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrail import ChatSafeCoDe, Policy, SafeCoDe, load_policy
from guardrail.errors import AuditError, MessageError
from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest, answer_questions_of
from guardrail.policy.review import Review
from guardrail.policy.verdict import Verdict
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.replay import replay
from guardrail.record.keys import new_key
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Picture, Turn, question
from tests.families import picture

ASKED = question("How do I climb?")
SAID = "First take off the rope."


def policy(on_unsafe: str = "replace", on_error: str = "block", **watch: Any) -> Policy:
    base = load_policy("baseline")
    verdict = {**base.verdict.model_dump(), "on_error": on_error}
    changed: Policy = base.model_copy(
        update={"verdict": verdict, "watch": {"every": 8, "on_unsafe": on_unsafe, **watch}}
    )
    return changed


def guard(p: Any, *acts: str, **more: Any) -> Guard:
    judge = p if callable(p) else lambda request: p
    return Guard(policy=policy(*acts), judge=judge, **more)


@pytest.mark.parametrize(
    ("p", "on_unsafe", "act", "finish"),
    [
        (0.02, "replace", "release", "judged"),
        (0.45, "replace", "release", "judged"),
        (0.55, "replace", "replace", "blocked"),
        (0.95, "replace", "replace", "blocked"),
        (0.95, "end", "end", "blocked"),
        (0.95, "steer", "steer", "blocked"),
        (0.95, "escalate", "escalate", "escalated"),
        (0.95, "record", "record", "judged"),
        (float("nan"), "record", "end", "blocked"),
        (float("nan"), "replace", "replace", "blocked"),
    ],
)
def test_an_answer_is_withheld_unless_it_is_cleared(
    p: float, on_unsafe: str, act: str, finish: str
) -> None:
    judged = guard(p, on_unsafe).decide_answer(ASKED, SAID)
    decision = judged.decision
    [reading] = decision.watch
    assert (reading.act, decision.outcome.finish_reason) == (act, finish)
    assert judged.withheld is (finish != "judged")
    assert bool(judged.refusal) is judged.withheld
    assert bool(judged.token) is (finish == "escalated")
    assert decision.outcome.replaced is (finish == "blocked")
    assert (decision.action, decision.verdict.label) == ("plain", None)


def test_the_judge_is_asked_of_the_answer_and_its_calls_in_words() -> None:
    seen: list[JudgeRequest] = []

    def judge(request: JudgeRequest) -> float:
        seen.append(request)
        return 0.0

    call = {"name": "climb", "arguments": {"rope": False}}
    guard(judge).decide_answer(ASKED, Turn("assistant", (SAID,), (call,)))
    [request] = seen
    assert request.questions == answer_questions_of(policy())
    assert [turn.role for turn in request.conversation.turns] == ["user", "assistant"]
    assert request.conversation.turns[-1].text == f'{SAID}\nCall: climb({{"rope": false}})'


def test_a_policy_that_does_not_watch_rules_all_the_same() -> None:
    judged = Guard(judge=lambda _: 0.95).decide_answer(ASKED, SAID)
    assert load_policy("baseline").watch.is_off
    assert judged.decision.outcome.finish_reason == "blocked"


def test_shadow_withholds_nothing_and_off_judges_nothing() -> None:
    for on_unsafe in ("replace", "escalate"):
        shadow = guard(0.95, on_unsafe).decide_answer(ASKED, SAID, mode="shadow")
        assert (shadow.withheld, shadow.token, shadow.refusal) == (False, "", "")
        assert shadow.decision.watch[0].act == on_unsafe
    off = guard(0.95).decide_answer(ASKED, SAID, mode="off")
    assert (off.withheld, off.decision.watch) == (False, [])


@pytest.mark.parametrize(("on_error", "withheld"), [("block", True), ("plain", False)])
def test_a_judge_that_fails_withholds_where_the_policy_does_not_say_otherwise(
    on_error: str, withheld: bool
) -> None:
    def judge(request: JudgeRequest) -> float:
        raise RuntimeError("no idea")

    judged = guard(judge, "replace", on_error).decide_answer(ASKED, SAID)
    assert judged.withheld is withheld
    [reading] = judged.decision.watch
    assert (reading.label, reading.error) == ("unavailable", "the judge failed: RuntimeError")
    assert judged.decision.errors == [reading.error]


def test_a_verdict_that_is_known_already_is_not_asked_for() -> None:
    def judge(request: JudgeRequest) -> float:
        raise AssertionError("nobody should have asked")

    judged = guard(judge).decide_answer(ASKED, SAID, verdict=Verdict.unavailable("too late"))
    assert judged.decision.errors == ["too late"]
    unreadable = Verdict(dict.fromkeys(answer_questions_of(policy()), "high"))  # type: ignore[arg-type]
    judged = guard(judge).decide_answer(ASKED, SAID, verdict=unreadable)
    assert (judged.withheld, judged.decision.watch[0].label) == (True, "unavailable")


def test_an_approval_is_of_this_answer_to_this_request_and_counts_once() -> None:
    asked = guard(0.95, "escalate")
    escalated = asked.decide_answer(ASKED, SAID)
    known = escalated.decision.request_id
    review = Review(request_id=known, approved=True, token=escalated.token)
    for conversation, said in ((ASKED, "Jump."), (question("How do I fall?"), SAID)):
        other = asked.decide_answer(conversation, said, review=review)
        assert other.decision.outcome.finish_reason == "escalated"
        assert "was not honoured" in other.decision.errors[0]
    again = asked.decide_answer(ASKED, SAID, review=review)
    assert (again.withheld, again.decision.watch[0].act) == (False, "release")
    assert again.decision.watch[0].reasons[0].startswith(f"a human approved request {known}")
    assert asked.decide_answer(ASKED, SAID, review=review).withheld


def test_a_rejection_withholds_what_would_pass_by_now() -> None:
    escalated = guard(0.95, "escalate").decide_answer(ASKED, SAID)
    rejected = Review(request_id=escalated.decision.request_id, approved=False)
    judged = guard(0.0).decide_answer(ASKED, SAID, review=rejected)
    assert (judged.decision.outcome.finish_reason, bool(judged.refusal)) == ("blocked", True)


@pytest.mark.parametrize(
    "answer", [Turn("assistant", (SAID, Picture(picture(0), "digest"))), "half \ud800"]
)
def test_what_cannot_be_judged_is_an_error(answer: Any) -> None:
    with pytest.raises(MessageError):
        guard(0.0).decide_answer(ASKED, answer)


def test_a_record_that_cannot_be_kept_fails_the_answer() -> None:
    class Full:
        def opened(self, decision: Any, conversation: Conversation) -> None:
            raise AssertionError("nothing is answered here")

        def concluded(self, decision: Any, conversation: Conversation, text: str) -> None:
            raise AuditError("the disk is full")

    with pytest.raises(AuditError, match="full"):
        guard(0.0, observer=Full()).decide_answer(ASKED, SAID)


def test_the_audit_log_has_the_answer_or_what_stands_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARDRAIL_AUDIT_KEY", new_key().spell())
    log = tmp_path / "audit.db"
    captured = {"audit": {"path": str(log)}, "capture": {"content": True}}
    rules = policy().model_copy(update=captured)
    made = Guard(
        policy=rules, judge=lambda r: 0.9 if "rope" in r.conversation.turns[-1].text else 0
    )
    judged = [made.decide_answer(ASKED, said) for said in ("Slowly.", SAID)]
    with LogReader(log) as reader:
        records = list(reader.records(Filter()))
        assert replay(records, rules).unjudged == 2  # no request was
    assert [each.decision for each in records] == [each.decision for each in judged]
    kept = [each.content.answer for each in records if each.content is not None]
    assert kept == ["Slowly.", judged[1].refusal]


def test_an_answer_is_a_span_with_its_reading_and_counts() -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    tracing = Tracing(tracer=provider.get_tracer("test"), meter=meter)
    decision = guard(0.95, tracing=tracing, name="remote").decide_answer(ASKED, SAID).decision
    verdict, whole = spans.get_finished_spans()
    assert (whole.name, verdict.name) == ("apply_guardrail remote", "guardrail.verdict")
    [event] = verdict.events
    assert event.name == "guardrail.watch"
    assert (event.attributes or {})["guardrail.watch.act"] == "replace"
    assert verdict.end_time is not None
    assert event.timestamp <= verdict.end_time
    assert (whole.attributes or {})["guardrail.result"] == "deny"
    assert (whole.attributes or {})["guardrail.request_id"] == decision.request_id
    data: Any = reader.get_metrics_data()
    found = {
        each.name: each.data.data_points
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for each in scope.metrics
    }
    [decided] = found["guardrail.decisions"]
    assert decided.attributes["guardrail.result"] == "deny"
    assert found["guardrail.refusals"][0].value == 1


@pytest.fixture(scope="module")
def embedded() -> SafeCoDe:
    """The embedded model, whose own answers to the answer questions always come to a reading."""
    rules = policy("escalate", unsafe_at=0.0002, safe_below=0.0001)
    return SafeCoDe.embedded(policy=rules)


async def test_a_model_judges_answers_itself(embedded: SafeCoDe) -> None:
    shown = question("What is this?", [Picture(picture(1), "digest")])
    decision = embedded.decide_answer(shown, SAID).decision
    assert len(decision.watch[0].categories) == len(policy().categories)
    chat = ChatSafeCoDe(engine=embedded)
    judged = chat.decide_answer("What is this?", SAID)
    assert (
        await chat.adecide_answer("What is this?", SAID)
    ).decision.watch == judged.decision.watch
    review = {"request_id": judged.decision.request_id, "approved": True, "token": judged.token}
    assert judged.decision.outcome.finish_reason == "escalated"
    assert not chat.decide_answer("What is this?", SAID, review=review).withheld


def test_an_answer_whose_judging_is_cancelled_is_withheld(embedded: SafeCoDe) -> None:
    cancel = threading.Event()
    cancel.set()
    judged = embedded.decide_answer(ASKED, SAID, cancel=cancel)
    assert (judged.withheld, judged.decision.outcome.finish_reason) == (True, "cancelled")
