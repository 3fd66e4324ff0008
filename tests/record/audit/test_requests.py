"""Requests and the log: durable before the answer is out, on record however they end, no words."""

import json
import logging
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrail import Policy, SafeCoDe
from guardrail.backends.server.capabilities import UNSTEERED, UNWEIGHED
from guardrail.backends.server.forms import HELD
from guardrail.cli import audit_text
from guardrail.errors import AuditError, Escalation, JudgeError
from guardrail.policy.review import Review
from guardrail.record.answer import Answer
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.page.report import write_report
from guardrail.record.audit.page.views import decision_page, list_page
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord
from guardrail.record.audit.redaction import Redaction
from guardrail.record.audit.replay import replay
from guardrail.record.decision import Candidate, StepRecord
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.call_format import CallFormat
from guardrail.request.call_reader import CallReader
from guardrail.request.conversation import Conversation, Turn, question
from guardrail.request.delta import Delta, InvalidCall
from guardrail.request.settings import GenerationSettings
from guardrail.steering.unfolding import HELD_BACK
from guardrail.steering.watched import UNTURNED
from tests.contract.guarded import by_word, engine, judged_engine, policy, shown
from tests.record.audit.making import KEY, decision

CANARY = "zq-canary-7f3a91"
SETTINGS = GenerationSettings(max_new_tokens=6, temperature=0)
FAMILY = "qwen3_vl"
CALL_KEYS = ("name", "arguments")
RULES = {"on_unsafe": "block", "on_uncertain": "escalate", "on_safe": "comply"}
JUDGE = by_word(danger=0.95, unclear=0.5, fine=0.05, hated=0.9)


def guarded(log: Path, changes: Any = None, judge: Any = JUDGE, **top: Any) -> SafeCoDe:
    sections = {"verdict": RULES, **(changes or {})}
    return judged_engine(FAMILY, judge, policy(sections, audit={"path": str(log)}, **top))


def ask(words: str) -> Conversation:
    return question(words, [shown(0)])


def records(log: Path) -> list[AuditRecord]:
    with LogReader(log) as reader:
        [[last]] = reader._all("SELECT max(seq) FROM records", [])
        found = [reader.record(seq) for seq in range(1, last + 1)]
    return [record for record in found if record is not None]


def ends(log: Path) -> list[tuple[str, str]]:
    return [
        (each.kind, each.decision.outcome.finish_reason)
        for each in records(log)
        if each.decision is not None
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def test_an_answer_is_opened_and_concluded(log: Path) -> None:
    answer = guarded(log).answer(ask("fine"), SETTINGS)
    opened, concluded = records(log)
    assert (opened.kind, concluded.kind) == ("opened", "decision")
    assert concluded.decision is not None
    assert opened.decision is not None
    assert opened.decision.request_id == answer.decision.request_id
    assert concluded.decision.action == answer.decision.action
    assert concluded.thresholds is not None
    assert set(concluded.thresholds) == set(answer.decision.verdict.categories)
    assert verify_path(log, KEY).ok


def test_the_record_is_durable_before_what_it_stands_for_leaves(log: Path) -> None:
    seen: list[tuple[str, int]] = []
    for event in guarded(log).stream(ask("fine"), SETTINGS):
        seen.append((type(event).__name__, len(records(log))))
    assert len(seen) > 2
    assert all(count >= 1 for _, count in seen)
    last_delta = [count for kind, count in seen if kind == "Delta"][-1]
    assert (last_delta, seen[-1]) == (2, ("Answer", 2))


def test_a_blocked_request_is_on_record_before_its_words_leave(log: Path) -> None:
    stream = guarded(log).stream(ask("danger"), SETTINGS)
    assert isinstance(next(stream), Delta)
    assert ends(log) == [("decision", "blocked")]
    assert isinstance(next(stream), Answer)


def test_an_escalated_request_is_on_record(log: Path) -> None:
    with pytest.raises(Escalation):
        guarded(log).answer(ask("unclear"), SETTINGS)
    assert ends(log) == [("decision", "escalated")]


def test_a_cancelled_request_is_on_record(log: Path) -> None:
    cancel = threading.Event()
    stream = guarded(log).stream(ask("fine"), SETTINGS, cancel=cancel)
    next(stream)
    cancel.set()
    list(stream)
    with closing(guarded(log).stream(ask("fine"), SETTINGS)) as closed:
        next(closed)
    assert [end for end in ends(log) if end[0] == "decision"] == [("decision", "cancelled")] * 2


def test_a_failed_request_is_on_record(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = guarded(log)
    monkeypatch.setattr(
        "guardrail.steering.pipeline.decode",
        lambda *args, **kwargs: (_ for _ in ()).throw(OSError("x")),
    )
    with pytest.raises(OSError, match="x"):
        made.answer(ask("fine"), SETTINGS)
    assert ends(log)[-1] == ("decision", "error")
    last = records(log)[-1].decision
    assert last is not None
    assert last.errors == ["OSError"]


def test_batches_are_on_record(log: Path) -> None:
    conversations = [ask("fine"), ask("danger"), ask("fine")]
    answers = guarded(log).batch(conversations, SETTINGS)
    concluded = [each.decision for each in records(log) if each.kind == "decision"]
    assert {each.request_id for each in concluded if each} == {
        answer.decision.request_id for answer in answers
    }


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_other_modes_are_on_record_too(log: Path, mode: Any) -> None:
    guarded(log).answer(ask("danger"), SETTINGS, mode=mode)
    last = records(log)[-1].decision
    assert last is not None
    assert last.mode == mode


def test_the_environment_switches_the_log_on(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAIL_AUDIT_LOG", str(log))
    engine_ = judged_engine(FAMILY, JUDGE)
    engine_.answer(ask("fine"), SETTINGS)
    assert len(records(log)) == 2


def test_a_request_fails_when_the_log_cannot_be_written(tmp_path: Path) -> None:
    made = guarded(tmp_path / "nowhere" / "audit.db")
    for words in ("fine", "danger"):
        events: list[Any] = []
        with pytest.raises(AuditError, match="cannot open"):
            events.extend(made.stream(ask(words), SETTINGS))
        assert events == []  # not a word has left


def test_a_log_that_fails_half_way_keeps_the_end_back(log: Path) -> None:
    made = guarded(log)
    stream = made.stream(ask("fine"), SETTINGS)
    next(stream)
    log.write_bytes(b"")
    events: list[Any] = []
    made._logs[str(log)].close()
    log.write_bytes(b"no database" * 500)
    for name in ("audit.db-wal", "audit.db-shm"):
        log.with_name(name).unlink(missing_ok=True)
    with pytest.raises(AuditError):
        events.extend(stream)
    assert not any(isinstance(event, Answer) for event in events)


def test_a_policy_may_go_on_without_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nowhere" / "audit.db"
    rules = policy({"verdict": RULES}, audit={"path": str(path), "on_error": "continue"})
    answer = judged_engine(FAMILY, JUDGE, rules).answer(ask("fine"), SETTINGS)
    assert "the audit log could not be written" in answer.decision.errors
    assert "audit log could not be written" in caplog.text


def test_auditing_changes_no_answer(log: Path) -> None:
    audited = guarded(log).answer(ask("fine"), SETTINGS)
    bare = judged_engine(FAMILY, JUDGE, policy({"verdict": RULES})).answer(ask("fine"), SETTINGS)
    assert audited.token_ids == bare.token_ids
    assert audited.text == bare.text


def canary_conversation() -> Conversation:
    return Conversation(
        (
            Turn("system", (f"system {CANARY}",)),
            Turn("user", (shown(0), f"fine {CANARY}")),
            Turn("assistant", (f"said {CANARY}",), ({"name": "look", "arguments": {"q": CANARY}},)),
            Turn("tool", (f"result {CANARY}",)),
            Turn("user", (f"and now, {CANARY}? fine",)),
        ),
        tools=({"type": "function", "function": {"name": f"see_{CANARY}", "description": CANARY}},),
    )


def _raising(request: Any) -> float:
    raise ValueError(f"cannot read {request.conversation.turns[-1].text}")


def test_no_words_leave_a_trace_with_capture_off(
    log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    caplog.set_level(logging.INFO)
    message = {"en": {"phrases": ["I'm sorry"], "message": f"No: {CANARY}"}}
    judges = [JUDGE, by_word(zq=0.95), by_word(zq=0.5), _raising, lambda _: f"no: {CANARY}"]
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    meter = MeterProvider([reader]).get_meter("test")
    for judge in judges:
        made = guarded(log, judge=judge, refusals=message)
        made.tracing = Tracing(tracer=provider.get_tracer("test"), meter=meter)
        monkeypatch.setattr(made.backend.encoder, "encode", engine(FAMILY).backend.encoder.encode)
        with suppress(Escalation):
            made.answer(canary_conversation(), SETTINGS)
    assert len(records(log)) >= len(judges)
    report = tmp_path / "report.html"
    write_report(log, report, Filter(), key=KEY, limit=100)
    traces = [span.to_json() for span in spans.get_finished_spans()]
    metrics = reader.get_metrics_data()
    everything = {
        "spans": "".join(traces),
        "metrics": metrics.to_json() if metrics is not None else "",
        "logs": caplog.text,
        "log": "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("audit*")),
        "report": report.read_text(),
    }
    with LogReader(log) as reader_:
        pages = [list_page(reader_, {}), *(decision_page(reader_, each) for each in records(log))]
    everything["pages"] = "".join(pages)
    for where, text in everything.items():
        assert text, where
        for secret in (CANARY, "canary", "7f3a91"):
            assert secret not in text, where


def test_words_are_on_record_with_capture_on(log: Path) -> None:
    made = guarded(log, capture={"content": True})
    answer = made.answer(ask(f"fine {CANARY}"), SETTINGS)
    content = records(log)[-1].content
    assert content is not None
    assert content.turns[-1].text == f"fine {CANARY}"
    assert content.turns[-1].pictures[0].startswith("data:image/jpeg;base64,")
    assert content.answer == answer.text


def test_tokens_outside_the_refusal_phrases_become_digests() -> None:
    tokens = ["I", "'m", " sorry", " zq", "-can", "ary"]
    top = [Candidate(token=token, real=0.1, guarded=0.1) for token in tokens]
    step = StepRecord(step=0, token=" zq", token_unguarded=" sorry", refusal_mass_before=0,
                      refusal_mass_after=0, top=top)  # fmt: skip
    rules: Policy = policy(refusals={"en": {"phrases": ["I'm sorry"]}})
    kept = Redaction(rules, KEY).without_words(decision(steps=[step]))
    shown_ = [each.token for each in kept.steps[0].top]
    assert shown_[:3] == ["I", "'m", " sorry"]
    assert all(token.startswith("#") for token in shown_[3:])
    assert kept.steps[0].token == shown_[3]
    assert kept.steps[0].token_unguarded == " sorry"


def test_categories_that_the_policy_does_not_know_become_digests() -> None:
    verdict = decision().verdict.model_copy(update={"categories": {"injury": 0.1, CANARY: 0.9}})
    reasons = ["injury is safe", f"category '{CANARY}' is not in this policy: ignored"]
    found = Redaction(policy(), KEY).without_words(decision(verdict=verdict, reasons=reasons))
    assert found.verdict.categories["injury"] == 0.1
    assert CANARY not in found.model_dump_json()


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("the judge took longer than 10 s", True),
        ("the judge failed: ValueError", True),
        ("the judge failed: Zq", False),
        ("the judge gave 'yes', expected a probability", False),
        ("ValueError", True),
        ("the policy decided to refuse: the answer was not held to its form", True),
        ("Secretive words", False),
        (UNWEIGHED, True),
        (UNSTEERED, True),
        (HELD, True),
        (UNTURNED, True),
        ("the judge answers neither yes nor no", True),
        ("the judge answers neither yes nor no, but 'zq'", False),
        ("the chat model did not fill in a probability for every category", True),
        ("the server cannot go on with 'zq'", False),
    ],
)
def test_only_our_own_sentences_stay(message: str, kept: bool) -> None:
    rules = policy()
    verdict = decision().verdict.model_copy(update={"error": message, "categories": {}})
    found = Redaction(rules, KEY).without_words(decision(verdict=verdict, errors=[message]))
    assert (found.errors == [message]) is kept
    assert (found.verdict.error == message) is kept


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f'<t>{{"name": "f", "{CANARY}</t>', {}),
        (f'<t>{{"name": "f", "{CANARY}', {}),
        (f'<t>["{CANARY}"]</t>', {}),
        (f'<t>{{"name": "{CANARY}", "arguments": {{}}}}</t>', {}),
        (f'<t>{{"name": "f", "arguments": "{CANARY}"}}</t>', {}),
        ('<t>{"name": "f", "arguments": {}}</t>', {"held_back": HELD_BACK}),
        ('<t>{"name": "f", "arguments": {}}</t>' * 2, {"parallel": False}),
    ],
)
def test_why_a_call_was_not_taken_stays(text: str, options: Any) -> None:
    written = CallFormat("<t>", "</t><t>", "</t>", '{"name": "f", "arguments": ', "}", CALL_KEYS)
    reader = CallReader(written, ["f"], **options)
    calls = [delta.call for delta in (*reader.push(text), *reader.finish())]
    errors = [call.error for call in calls if isinstance(call, InvalidCall)]
    assert len(errors) == 1
    assert Redaction(policy(), KEY).without_words(decision(errors=errors)).errors == errors


def test_equal_questions_have_equal_digests_and_other_keys_other_ones(log: Path) -> None:
    made = guarded(log)
    for words in ("fine", "fine", "fine too"):
        made.answer(ask(words), SETTINGS)
    digests = [
        each.request.question for each in records(log) if each.kind == "decision" and each.request
    ]
    assert digests[0] == digests[1] != digests[2]
    assert "fine" not in json.dumps(digests)


def test_a_judge_error_is_on_record_without_its_words(log: Path) -> None:
    def judge(_: Any) -> float:
        raise JudgeError(f"unreadable {CANARY}")

    guarded(log, judge=judge).answer(ask("fine"), SETTINGS)
    last = records(log)[-1].decision
    assert last is not None
    assert last.verdict.label == "unavailable"
    assert CANARY not in last.model_dump_json()


def test_what_a_session_remembered_and_a_human_said_is_on_record_and_replays_to_the_same(
    log: Path,
) -> None:
    made = guarded(log, session={"memory": "max", "after_refusal": {"unsafe_at": 0.4}})
    made.answer(replace(ask("danger"), session=CANARY), SETTINGS)
    made.answer(replace(ask("fine"), session=CANARY), SETTINGS)
    with pytest.raises(Escalation) as caught:
        made.answer(ask("unclear"), SETTINGS)
    asked, token = caught.value.decision.request_id, caught.value.token
    for approved in (True, False):
        review = Review(request_id=asked, approved=approved, by="alice", token=token)
        made.answer(ask("unclear"), SETTINGS, review=review)
    decided = [each.decision for each in records(log) if each.kind == "decision"]
    first, later, _, approval, rejection = [each for each in decided if each is not None]
    assert later.session is not None
    assert later.session.remembered["injury"].request_id == first.request_id
    assert first.request_id in later.reasons[0]
    assert [each.action for each in (later, approval, rejection)] == ["block", "plain", "block"]
    assert approval.review is not None
    assert approval.review.by == "alice"
    assert approval.reasons[0] == f"a human approved request {asked}: plain instead of escalate"
    written = "".join(each.model_dump_json() for each in records(log))
    assert (CANARY in written, token in written) == (False, False)
    [last] = [each for each in records(log) if each.decision == rejection]
    assert f"  review    rejected by alice, request {asked}" in list(audit_text.record(last))
    with LogReader(log) as reader:
        assert "rejected by alice" in decision_page(reader, last)
        found = replay(reader.records(Filter()), made.policy)
    assert found.changes == []
    assert found.decided == 5


def test_what_is_decided_for_somebody_else_to_answer_is_on_record(log: Path) -> None:
    made = guarded(log)
    for words in ("danger", "unclear", "fine"):
        made.decide(ask(words))
    assert ends(log) == [("decision", "blocked"), ("decision", "escalated"), ("decision", "judged")]


def test_an_approval_that_was_not_honoured_is_on_record_and_replays_as_it_was_decided(
    log: Path,
) -> None:
    made = guarded(log)
    with pytest.raises(Escalation) as caught:
        made.answer(ask("unclear"), SETTINGS)
    forged = Review(request_id=caught.value.decision.request_id, approved=True, by="mallory")
    with pytest.raises(Escalation):
        made.answer(ask("unclear"), SETTINGS, review=forged)
    last = records(log)[-1]
    assert last.decision is not None
    assert last.decision.review is not None
    assert (last.decision.action, last.decision.review.honoured) == ("escalate", False)
    assert "it has no token of an escalation" in last.decision.errors[0]
    assert not replay(records(log), made.policy).changes
    shown = f"  review    approved (not honoured) by mallory, request {forged.request_id}"
    assert any(line.startswith(shown[:40]) for line in audit_text.record(last))
