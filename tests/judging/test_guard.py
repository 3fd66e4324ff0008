"""A guard decides about requests that somebody else answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from guardrail import SafeCoDe
from guardrail.errors import AuditError, PolicyError, SettingsError
from guardrail.judging import chair as judging
from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy, load_policy
from guardrail.policy.review import Review
from guardrail.policy.verdict import Verdict
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Picture, question
from tests.contract.guarded import ask, engine
from tests.families import build, picture, save

ID = "0" * 32


def policy(**verdict: str) -> Policy:
    base = load_policy("baseline")
    changed: Policy = base.model_copy(update={"verdict": {**base.verdict.model_dump(), **verdict}})
    return changed


def says(p: Any) -> Any:
    return lambda request: p


@pytest.mark.parametrize(
    ("p", "action", "finish", "withheld"),
    [
        (0.02, "comply", "judged", False),
        (0.4, "comply", "judged", False),
        (0.95, "refuse", "blocked", True),
        (float("nan"), "block", "blocked", True),
    ],
)
def test_an_action_withholds_what_it_must(
    p: float, action: str, finish: str, withheld: bool
) -> None:
    judged = Guard(judge=says(p)).decide(question("How do I climb?"))
    decision = judged.decision
    assert (decision.action, decision.outcome.finish_reason) == (action, finish)
    assert judged.withheld is withheld
    assert bool(judged.refusal) is withheld
    assert decision.steps == []
    assert decision.outcome.refused is None


def test_an_escalation_does_not_raise_and_its_review_counts() -> None:
    guard = Guard(policy=policy(on_unsafe="escalate"), judge=says(0.9))
    asked = guard.decide(question("How do I climb?"))
    assert (asked.decision.outcome.finish_reason, asked.withheld) == ("escalated", True)
    for approved in (True, False):
        known = asked.decision.request_id
        review = Review(request_id=known, approved=approved, token=asked.token)
        judged = guard.decide(question("How do I climb?"), review=review)
        assert judged.withheld is not approved
        assert judged.decision.review == review


def test_a_rejection_withholds_what_would_pass_by_now() -> None:
    guard = Guard(policy=policy(on_unsafe="escalate"), judge=says(0.0))
    judged = guard.decide(question("Hello"), review=Review(request_id=ID, approved=False))
    assert (judged.decision.action, judged.withheld) == ("block", True)
    assert judged.refusal


def test_a_verdict_that_is_known_already_is_not_asked_for() -> None:
    def judge(request: JudgeRequest) -> float:
        raise AssertionError("nobody should have asked")

    judged = Guard(judge=judge).decide(question("?"), verdict=Verdict.unavailable("it is too late"))
    assert judged.decision.action == "block"
    assert judged.decision.errors == ["it is too late"]


@pytest.mark.parametrize("p", ["high", None])
def test_a_verdict_that_cannot_be_read_is_unavailable(p: Any) -> None:
    unreadable = Verdict(dict.fromkeys([each.id for each in policy().categories], p))
    for judged in (
        Guard(judge=says(unreadable)).decide(question("Hello")),
        Guard(judge=says(0.0)).decide(question("Hello"), verdict=unreadable),
    ):
        assert (judged.decision.verdict.label, judged.decision.action) == ("unavailable", "block")
        assert "cannot be read" in str(judged.decision.verdict.error)


def test_a_judge_kind_that_needs_a_model_is_unavailable_without_one() -> None:
    for kind in ("self", "caption", "chat", "callable"):
        rules = load_policy("baseline").model_copy(update={"judge": {"kind": kind}})
        decision = Guard(policy=rules).decide(question("Hello")).decision
        assert decision.action == "block"
        assert "give one as `judge=`" in str(decision.verdict.error)


def test_a_chat_model_may_judge() -> None:
    class Filling(GenericFakeChatModel):
        def with_structured_output(self, schema: Any, **options: Any) -> Any:
            return self | RunnableLambda(lambda message: json.loads(str(message.content)))

    names = [category.id for category in load_policy("baseline").categories]
    said = [AIMessage(json.dumps(dict.fromkeys(names, 0.9))), AIMessage("[]")]
    guard = Guard(judge=Filling(messages=iter(said)))
    first, second = (guard.decide(question("How do I climb?")).decision for _ in range(2))
    assert (first.verdict.source, first.action) == ("chat", "refuse")
    assert (second.verdict.label, second.action) == ("unavailable", "block")


def test_a_policys_own_model_may_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
    save("llava", tmp_path / "judge")
    settings = {"kind": "model", "model": str(tmp_path / "judge")}
    guard = Guard(policy=load_policy("baseline").model_copy(update={"judge": settings}))
    asked = question("How do I climb?", [Picture(picture(1), "digest")])
    verdict = guard.decide(asked).decision.verdict
    assert (verdict.source, len(verdict.categories)) == ("model", 7)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_an_engine_decides_as_it_does_when_it_answers(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
    shared = engine(family)
    decided = shared.decide(ask(family)).decision
    answered = shared.answer(ask(family)).decision
    assert decided.verdict.source == answered.verdict.source == "self"
    assert decided.verdict.categories == pytest.approx(answered.verdict.categories, abs=1e-4)
    assert (decided.action, decided.rule) == (answered.action, answered.rule)


def test_what_the_judging_model_cannot_be_told_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = build("blip-2")  # cannot do without a picture
    made = SafeCoDe(model=model, processor=processor)
    decision = made.decide(question("Hello")).decision
    assert (decision.verdict.label, decision.action) == ("unavailable", "block")


def test_modes_are_as_for_an_engine() -> None:
    guard = Guard(judge=says(0.95))
    shadow = guard.decide(question("?"), mode="shadow")
    assert (shadow.decision.action, shadow.withheld) == ("refuse", False)
    off = guard.decide(question("?"), mode="off")
    assert (off.decision.verdict.label, off.withheld) == (None, False)
    with pytest.raises(SettingsError, match="mode is 'loud'"):
        guard.decide(question("?"), mode="loud")  # type: ignore[arg-type]
    with pytest.raises(PolicyError):
        guard.decide(question("?"), policy="no-such-pack")


def test_a_record_that_cannot_be_kept_fails_the_request() -> None:
    class Full:
        def opened(self, decision: Any, conversation: Conversation) -> None:
            raise AssertionError("nothing is answered here")

        def concluded(self, decision: Any, conversation: Conversation, text: str) -> None:
            raise AuditError("the disk is full")

    with pytest.raises(AuditError, match="full"):
        Guard(judge=says(0.0), observer=Full()).decide(question("?"))


def test_a_request_whose_verdict_cannot_be_recorded_is_on_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Kept(list[Any]):
        def opened(self, decision: Any, conversation: Conversation) -> None:
            raise AssertionError("nothing is answered here")

        def concluded(self, decision: Any, conversation: Conversation, text: str) -> None:
            self.append(decision)

    unreadable: Any = {policy().categories[0].id: object()}
    monkeypatch.setattr(judging, "ask_judge", lambda *_, **__: Verdict(unreadable))
    spans, kept = InMemorySpanExporter(), Kept()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(tracer=provider.get_tracer("test"))
    with pytest.raises(ValidationError):
        Guard(judge=says(0.0), observer=kept, tracing=tracing, name="remote").decide(question("?"))
    [decision] = kept
    assert decision.outcome.finish_reason == "error"
    assert decision.errors == ["ValidationError", "the verdict could not be recorded"]
    assert decision.verdict.error == "the verdict could not be recorded"
    assert [each.name for each in spans.get_finished_spans()][-1] == "apply_guardrail remote"


def test_a_decision_is_a_span_of_its_own_kind() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(tracer=provider.get_tracer("test"))
    guard = Guard(judge=says(0.95), tracing=tracing, name="remote")
    review = Review(request_id=ID, approved=True)
    decision = guard.decide(question("?"), review=review).decision
    verdict, whole = spans.get_finished_spans()
    assert (whole.name, verdict.name) == ("apply_guardrail remote", "guardrail.verdict")
    assert whole.attributes is not None
    assert whole.attributes["gen_ai.operation.name"] == "apply_guardrail"
    assert whole.attributes["guardrail.request_id"] == decision.request_id
    assert whole.attributes["guardrail.action"] == "refuse"
    assert whole.attributes["guardrail.review.approved"] is True
    assert whole.attributes["guardrail.session.remembered"] is False


def test_a_blocked_request_is_answered_in_the_policy_s_language(tmp_path: Path) -> None:
    head = "version: 1\nname: p\nextends: [baseline, refusals/de]\nverdict: {on_unsafe: block}\n"
    (tmp_path / "en.yaml").write_text(head, encoding="utf-8")
    (tmp_path / "de.yaml").write_text(f"{head}language: de\n", encoding="utf-8")
    (tmp_path / "all.yaml").write_text(
        "version: 1\nname: all\nselect:\n"
        "  - {when: {language: de}, policy: de.yaml}\n  - {policy: en.yaml}\n",
        encoding="utf-8",
    )
    guard = Guard(policy=tmp_path / "all.yaml", judge=says(0.9))
    said = {
        language: guard.decide(question("?"), metadata={"language": language}).refusal
        for language in ("en", "de-AT")
    }
    assert said["en"].startswith("I can't help with that here: ")
    assert said["de-AT"].startswith("Dabei kann ich hier nicht helfen: ")
