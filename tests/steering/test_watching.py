"""What is done to an answer that is read as it grows, by a judge that says when it turns."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrail import Policy, SafeCoDe
from guardrail.errors import Escalation
from guardrail.judging.draft import Draft
from guardrail.judging.judge import JudgeRequest
from guardrail.policy.refusals import is_refusal
from guardrail.policy.review import Review
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.watch import Watch
from guardrail.record.answer import Answer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.delta import Delta, ToolCall
from guardrail.request.settings import GenerationSettings
from guardrail.steering.watched import UNTURNED, Watched
from tests.contract.guarded import LONGER, WORDS, ask, engine, judged_engine, policy

SETTINGS = GenerationSettings(max_new_tokens=12, temperature=0)
ASKED = ask("llava", WORDS)
MESSAGE = "No more of that: {reason}."


def watching(**watch: Any) -> Policy:
    refusals = {"en": {"phrases": ["I'm sorry", "No"], "message": MESSAGE}}
    top = {"refusals": refusals, "judge": {"kind": "callable"}}
    return policy(watch={"every": 4, "on_unsafe": "replace", **watch}, **top)


def judge(*p: float | Exception) -> Any:
    """Says of the request that it is harmless, and of its answer in turn what is given; then that
    it is harmless.
    """
    readings = iter(p)

    def judged(request: JudgeRequest) -> float:
        if request.conversation.turns[-1].role != "assistant":
            return 0.0
        found = next(readings, 0.0)
        if isinstance(found, Exception):
            raise found
        return found

    return judged


def streamed(made: SafeCoDe, asked: Any = ASKED, **call: Any) -> tuple[list[str], Answer]:
    *pieces, answer = made.stream(asked, SETTINGS, **call)
    assert isinstance(answer, Answer)
    return [each.text for each in pieces if isinstance(each, Delta)], answer


@pytest.fixture(scope="module")
def unwatched() -> Answer:
    return judged_engine("llava", judge(), watching(every=0)).answer(ASKED, SETTINGS)


def watched(*p: float | Exception, **watch: Any) -> tuple[list[str], Answer]:
    return streamed(judged_engine("llava", judge(*p), watching(**watch)))


def said(answer: Answer, tokens: int) -> str:
    """What its first tokens say; a character's first bytes wait for the others."""
    return engine("llava").backend.decode(answer.token_ids[:tokens]).rstrip("\ufffd")


def acts(answer: Answer) -> list[tuple[int, str, str]]:
    return [(each.tokens, each.label, each.act) for each in answer.decision.watch]


def test_what_is_cleared_goes_out_and_nothing_else(unwatched: Answer) -> None:
    pieces, answer = watched(0.1, 0.9)
    cleared, words = answer.text.split("\n\n")
    assert "".join(pieces) == answer.text
    assert cleared == said(unwatched, 4)
    assert words.startswith("No more of that")
    outcome = answer.decision.outcome
    assert (outcome.finish_reason, outcome.replaced, outcome.refused) == ("blocked", True, True)
    assert outcome.output_tokens == 8
    assert acts(answer) == [(4, "safe", "release"), (8, "unsafe", "replace")]


def test_an_answer_that_turns_at_once_is_the_policy_s_words_alone() -> None:
    pieces, answer = watched(0.9)
    assert pieces == [answer.text]
    assert answer.text.startswith("No more of that")
    assert answer.token_ids == ()


def test_invoking_collects_what_streaming_yields() -> None:
    _, streaming = watched(0.1, 0.9)
    made = judged_engine("llava", judge(0.1, 0.9), watching())
    assert made.answer(ASKED, SETTINGS).text == streaming.text
    [batched] = judged_engine("llava", judge(0.1, 0.9), watching()).batch([ASKED], SETTINGS)
    assert batched.text == streaming.text


def test_an_answer_may_end_where_it_was_last_cleared(unwatched: Answer) -> None:
    pieces, answer = watched(0.1, 0.9, on_unsafe="end")
    assert "".join(pieces) == answer.text
    assert answer.token_ids == unwatched.token_ids[:4]
    assert answer.decision.outcome.finish_reason == "blocked"
    assert not answer.decision.outcome.replaced


@pytest.mark.parametrize("change", [{"on_unsafe": "record"}, {"mode": "shadow"}])
def test_recorded_alone_it_changes_nothing(unwatched: Answer, change: dict[str, Any]) -> None:
    mode = change.pop("mode", "enforce")
    made = judged_engine("llava", judge(0.9, 0.9, 0.9), watching(**change))
    _, answer = streamed(made, mode=mode)
    assert answer.token_ids == unwatched.token_ids
    assert [label for _, label, _ in acts(answer)] == ["unsafe"] * 3
    assert answer.decision.outcome.finish_reason == "length"


def test_off_nobody_reads(unwatched: Answer) -> None:
    _, answer = streamed(judged_engine("llava", judge(0.9), watching()), mode="off")
    assert answer.decision.watch == []
    assert unwatched.decision.watch == []


def test_what_is_in_doubt_is_held_until_a_reading_settles_it(unwatched: Answer) -> None:
    made = judged_engine("llava", judge(0.5, 0.1), watching())
    events = made.stream(ASKED, SETTINGS)
    first = next(events)
    assert isinstance(first, Delta)
    pieces = [first.text, *(each.text for each in events if isinstance(each, Delta))]
    assert "".join(pieces) == unwatched.text
    _, answer = watched(0.1, 0.1, 0.5)  # the end leans to the side that it is on
    assert answer.decision.outcome.finish_reason == "blocked"
    assert acts(watched(0.1, 0.1, 0.45)[1])[-1] == (12, "uncertain", "release")


def test_a_human_decides_and_what_is_approved_is_answered(unwatched: Answer) -> None:
    made = judged_engine("llava", judge(0.1, 0.9, 0.1, 0.9), watching(on_unsafe="escalate"))
    pieces: list[str] = []
    with pytest.raises(Escalation) as raised:
        pieces.extend(getattr(each, "text", "") for each in made.stream(ASKED, SETTINGS))
    assert "".join(pieces) == said(unwatched, 4)
    decision = raised.value.decision
    assert decision.outcome.finish_reason == "escalated"
    assert raised.value.token
    review = Review(
        request_id=decision.request_id, approved=True, by="Ada", token=raised.value.token
    )
    again = made.answer(ASKED, SETTINGS, review=review)
    assert again.token_ids == unwatched.token_ids
    assert again.decision.watch[1].act == "release"


def test_let_out_as_it_comes_it_cannot_be_taken_back(unwatched: Answer) -> None:
    pieces, answer = watched(0.9, release="immediate")
    assert "".join(pieces) == answer.text
    assert answer.text.split("\n\n")[0] == said(unwatched, 4)


def test_a_judge_that_fails_in_the_middle_closes_the_answer(unwatched: Answer) -> None:
    pieces, answer = watched(0.1, ValueError("a secret of the request"))
    assert "".join(pieces) == answer.text
    assert acts(answer)[-1] == (8, "unavailable", "replace")
    assert answer.decision.outcome.finish_reason == "blocked"
    assert answer.decision.watch[-1].error == "the judge failed: ValueError"
    assert "secret" not in answer.decision.model_dump_json()


def test_what_is_cancelled_in_the_middle_lets_nothing_more_out(unwatched: Answer) -> None:
    cancel = threading.Event()
    made = judged_engine("llava", judge(), watching())
    pieces: list[str] = []
    answer = None
    for item in made.stream(ASKED, SETTINGS, cancel=cancel):
        if isinstance(item, Delta):
            pieces.append(item.text)
            cancel.set()
        else:
            answer = item
    assert answer is not None
    assert "".join(pieces) == answer.text == said(unwatched, 4)
    assert answer.decision.outcome.finish_reason == "cancelled"


def test_nothing_of_what_was_not_cleared_is_in_the_record_that_goes_out(unwatched: Answer) -> None:
    guided = unwatched.decision.steps
    assert len(guided) == 3
    _, answer = watched(0.9)
    assert answer.decision.steps == []
    _, answer = watched(0.1, 0.9)
    assert len(answer.decision.steps) == 3


def test_an_answer_that_is_given_up_is_on_record_as_far_as_it_was_cleared() -> None:
    seen: list[tuple[Any, str]] = []

    class Observed:
        def opened(self, decision: Any, conversation: Any) -> None: ...

        def concluded(self, decision: Any, conversation: Any, text: str) -> None:
            seen.append((decision, text))

    made = SafeCoDe(
        backend=engine("llava").backend, policy=watching(), judge=judge(), observer=Observed()
    )
    events = made.stream(ASKED, SETTINGS)
    first = next(events)
    assert isinstance(first, Delta)
    events.close()  # type: ignore[attr-defined]
    [(decision, text)] = seen
    assert decision.outcome.finish_reason == "cancelled"
    assert text.startswith(first.text)
    assert len(decision.watch) == 1


def test_it_is_turned_towards_a_refusal_of_the_model_s_own() -> None:
    firm = {"modulation": {"boost": 100.0, "suppress": 4.0, "ensure_refusal": False}}
    made = judged_engine(
        "llava", judge(0.1, 0.9), policy(watch={"every": 4, "on_unsafe": "steer"}, **firm)
    )
    pieces, answer = streamed(made)
    assert "".join(pieces) == answer.text
    cleared, refusal = answer.text.split("\n\n", 1)
    assert said(answer, 4) == cleared
    assert is_refusal(refusal, made.policy.phrases), refusal
    assert answer.decision.outcome.refused
    assert not answer.decision.outcome.replaced
    assert acts(answer)[1] == (8, "unsafe", "steer")


def test_what_does_not_refuse_once_it_is_turned_ends_in_the_policy_s_words() -> None:
    weak = {"modulation": {"boost": 0.0, "suppress": 0.0}}
    made = judged_engine(
        "llava", judge(0.9), policy(watch={"every": 4, "on_unsafe": "steer"}, **weak)
    )
    pieces, answer = streamed(made)
    assert pieces == [answer.text]
    assert answer.decision.outcome.replaced
    assert answer.decision.outcome.finish_reason == "blocked"


def test_every_answer_of_a_batch_is_its_own() -> None:
    def by_request(request: JudgeRequest) -> float:
        turns = request.conversation.turns
        return 0.9 if turns[-1].role == "assistant" and LONGER in turns[0].text else 0.0

    made = judged_engine("llava", by_request, watching())
    first, second = made.batch([ASKED, ask("llava", LONGER)], SETTINGS)
    assert first.decision.outcome.finish_reason == "length"
    assert second.decision.outcome.finish_reason == "blocked"
    assert first.token_ids == made.answer(ASKED, SETTINGS).token_ids


def test_each_reading_is_an_event_of_the_decoding_s_span() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    made = SafeCoDe(
        backend=engine("llava").backend,
        policy=watching(),
        judge=judge(0.1, 0.9),
        tracing=Tracing(tracer=provider.get_tracer("test")),
    )
    made.answer(ASKED, SETTINGS)
    [decoding] = [each for each in spans.get_finished_spans() if each.name == "guardrail.decode"]
    told = [
        dict(each.attributes or {}) for each in decoding.events if each.name == "guardrail.watch"
    ]
    assert [each["guardrail.watch.tokens"] for each in told] == [4, 8]
    assert [each["guardrail.watch.act"] for each in told] == ["release", "replace"]


@pytest.fixture
def growing() -> Iterator[Watched]:
    made = judged_engine("llava", judge(), watching())
    with made.preparing():
        pipeline = made._prepared(None, None, None)
        draft: Draft = pipeline.draft(ASKED, SETTINGS)
        yield Watched(draft, Watch(every=8), acts=True)
        draft.end(None)


@pytest.mark.parametrize(
    ("text", "tokens", "due"),
    [
        ("So it", 8, True),
        ("So it is.", 6, True),
        ('So "it is."', 6, True),
        ("So it is. And", 6, False),
        ("So it is.", 5, False),
        ("是的。", 6, True),
    ],
)
def test_a_reading_is_due_at_the_end_of_a_sentence(
    growing: Watched, text: str, tokens: int, due: bool
) -> None:
    growing.draft.reply = replace(growing.draft.reply, whole=text, generated=tokens)
    assert growing.is_due(over=False) == due
    assert growing.is_due(over=True)


def test_an_answer_that_says_nothing_is_not_read_and_keeps_its_end(growing: Watched) -> None:
    growing.draft.reply = replace(growing.draft.reply, token_ids=(2,), generated=1)
    assert not growing.is_due(over=True)
    assert not growing.is_left_open


def test_a_call_is_not_passed_on_before_the_answer_is_over(growing: Watched) -> None:
    cleared = WatchRuling("safe", "release", None, "watch.safe_below", ("it is safe",), 0.1)
    growing.draft.reply = replace(growing.draft.reply, whole="So", text="So", generated=8)
    growing.take([Delta("So")])
    assert [each.text for each in growing.rule(cleared, over=False)] == ["So"]
    call = ToolCall("light", {}, "c1")
    growing.draft.reply = replace(
        growing.draft.reply, whole="So <call>", calls=[call], generated=16
    )
    growing.take([Delta("", call)])
    assert growing.rule(cleared, over=False) == []
    assert growing.rule(cleared, over=True) == [Delta("", call)]


def test_where_a_model_cannot_be_turned_the_record_says_so(growing: Watched) -> None:
    growing.draft.reply = replace(growing.draft.reply, whole="So", generated=8)
    turned = WatchRuling("unsafe", "steer", "injury", "watch.on_unsafe", ("it is unsafe",), 0.9)
    growing.rule(turned, over=False)
    assert growing.draft.finish == "blocked"
    assert growing.draft.reply.replaced
    assert UNTURNED in growing.draft.conclude().decision.errors
