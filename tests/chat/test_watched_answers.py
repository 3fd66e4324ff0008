"""Watched answers through `ChatSafeCoDe`: what is told of them, in chunks, calls and caches."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from guardrail import ChatSafeCoDe, Decision
from guardrail.errors import Escalation
from tests.chat.test_tool_calling import FORECAST, LOOK
from tests.chat.watched import turning
from tests.contract.guarded import judged_engine, policy
from tests.serving.served import body
from tests.serving.served import chat as embedded

ASKED = body()["messages"]


def decision(message: BaseMessage) -> Decision:
    return Decision.model_validate(message.response_metadata["guardrail"])


def long(text: str) -> bool:
    return len(text) > 30


def chat(on_unsafe: str = "replace", is_unsafe: Any = long, **options: Any) -> ChatSafeCoDe:
    made = embedded(turning(is_unsafe), watch={"on_unsafe": on_unsafe})
    return made.model_copy(update={"temperature": 0, "max_tokens": 32, **options})


def unwatched() -> AIMessage:
    made = embedded(0.01).model_copy(update={"temperature": 0, "max_tokens": 32})
    answer: AIMessage = made.invoke(ASKED)
    return answer


def summed(chat: Any, asked: Any) -> tuple[list[AIMessageChunk], AIMessageChunk]:
    chunks = list(chat.stream(asked))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return chunks, whole


@pytest.mark.parametrize("on_unsafe", ["replace", "end"])
def test_what_a_reading_ended_is_told_alike_whole_and_in_chunks(on_unsafe: str) -> None:
    made = chat(on_unsafe)
    plain = str(unwatched().content)
    whole = made.invoke(ASKED)
    chunks, added = summed(made, ASKED)
    found = decision(whole)
    assert whole.response_metadata["finish_reason"] == found.outcome.finish_reason == "blocked"
    assert found.action == "comply"
    assert found.watch[-1].act == on_unsafe
    cleared, blank, words = str(whole.content).partition("\n\n")
    assert 0 < len(cleared) <= 30 < len(plain)
    assert plain.startswith(cleared)
    assert (bool(blank), bool(words)) == (
        (True, True) if on_unsafe == "replace" else (False, False)
    )
    assert found.outcome.replaced is (on_unsafe == "replace")
    assert added.content == whole.content
    assert len(chunks) > 2  # it came in pieces
    again = decision(added)
    assert [each.act for each in again.watch] == [each.act for each in found.watch]
    assert added.response_metadata["finish_reason"] == "blocked"


def test_an_answer_that_is_cleared_is_the_unwatched_one() -> None:
    made = chat(is_unsafe=lambda text: False)
    watched, plain = made.invoke(ASKED), unwatched()
    assert watched.content == plain.content
    assert watched.response_metadata["finish_reason"] == plain.response_metadata["finish_reason"]
    assert {each.act for each in decision(watched).watch} == {"release"}


def test_a_model_reads_its_own_answers_by_the_policys_thresholds() -> None:
    rules = {"unsafe_at": 0.0002, "safe_below": 0.0001}
    made = embedded(None, watch=rules).bind(temperature=0, max_tokens=12)
    found = decision(made.invoke(ASKED))
    assert found.outcome.finish_reason == "blocked"
    assert len(found.watch[0].categories) == len(found.verdict.categories)


async def test_an_escalated_answer_is_given_whole_once_it_is_approved() -> None:
    made = chat("escalate")
    said: list[str] = []

    async def read() -> None:
        async for chunk in made.astream(ASKED):
            said.append(str(chunk.content))

    with pytest.raises(Escalation) as raised:
        await read()
    escalation = raised.value
    assert 0 < len("".join(said)) <= 30
    assert escalation.decision.outcome.finish_reason == "escalated"
    known = escalation.decision.request_id
    review = {"request_id": known, "approved": True, "token": escalation.token}
    answer = await made.ainvoke(ASKED, review=review)
    assert str(answer.content).startswith("".join(said))
    assert long(str(answer.content))
    assert "release" in {each.act for each in decision(answer).watch}
    with pytest.raises(Escalation):
        made.invoke(ASKED, review=review)


def test_a_cached_answer_keeps_its_readings_and_one_that_was_not_read_is_not_kept() -> None:
    broken = True

    def is_unsafe(text: str) -> bool:
        if broken:
            raise RuntimeError("no idea")
        return long(text)

    made = chat(is_unsafe=is_unsafe, cache=InMemoryCache())
    failed = decision(made.invoke(ASKED))
    assert failed.watch[-1].error is not None
    broken = False
    first, again = decision(made.invoke(ASKED)), decision(made.invoke(ASKED))
    assert first.cached_from is None
    assert again.cached_from == first.request_id
    assert again.watch == first.watch
    assert again.outcome == first.outcome


# Calls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_safe", [True, False])
def test_a_call_is_passed_on_once_it_is_cleared_and_else_never(is_safe: bool) -> None:
    judge = turning(lambda text: not is_safe)
    engine = judged_engine("qwen3_vl", judge, policy(watch={"every": 8}))
    made = ChatSafeCoDe(engine=engine, max_tokens=160, temperature=0)
    bound = made.bind_tools([FORECAST, LOOK], tool_choice="any")
    whole, (chunks, added) = bound.invoke("Hello"), summed(bound, "Hello")
    for message in (whole, added):
        assert isinstance(message, AIMessage)
        assert len(message.tool_calls) == is_safe
        assert message.invalid_tool_calls == []
        assert message.response_metadata["finish_reason"] == (
            "tool_calls" if is_safe else "blocked"
        )
    assert any(each.tool_call_chunks for each in chunks) is is_safe
    assert bool(whole.content) is not is_safe
