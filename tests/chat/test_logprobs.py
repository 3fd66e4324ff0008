"""`logprobs` of a chat model: where `ChatOpenAI` has them, whole, in chunks, batched and cached."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps

from guardrail import ChatSafeCoDe
from guardrail.errors import SettingsError
from tests.chat.test_chat_model import STRICT, ask, engine, policy

FORM = {"token", "bytes", "logprob", "top_logprobs"}


@pytest.fixture(scope="module")
def chat() -> ChatSafeCoDe:
    return ChatSafeCoDe(engine=engine(), temperature=0, max_tokens=8, logprobs=True, top_logprobs=5)


def told(message: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = message.response_metadata["logprobs"]["content"]
    return found


def tokens(message: Any) -> list[str]:
    return [each["token"] for each in told(message)]


async def test_every_way_of_asking_tells_the_same(chat: ChatSafeCoDe) -> None:
    whole = chat.invoke(ask())
    assert len(told(whole)) == 8
    for each in told(whole):
        assert set(each) == FORM
        assert len(each["top_logprobs"]) == 5
        assert each["logprob"] == each["top_logprobs"][0]["logprob"]
    dumps(whole)  # plain JSON
    assert told(await chat.ainvoke(ask())) == told(whole)
    unset = ChatSafeCoDe(engine=chat.engine, temperature=0, max_tokens=8)
    assert told(unset.invoke(ask(), logprobs=True, top_logprobs=5)) == told(whole)
    assert told(unset.bind(logprobs=True, top_logprobs=5).invoke(ask())) == told(whole)
    for batched in (chat.batch([ask(), ask("hello")]), await chat.abatch([ask(), ask("hello")])):
        assert tokens(batched[0]) == tokens(whole)
        assert [each["logprob"] for each in told(batched[0])] == pytest.approx(
            [each["logprob"] for each in told(whole)], abs=1e-4
        )


async def test_chunks_that_are_added_tell_the_whole(chat: ChatSafeCoDe) -> None:
    whole = chat.invoke(ask())
    chunks = list(chat.stream(ask()))
    *before, last = chunks
    for chunk in before:
        assert set(chunk.response_metadata) <= {"logprobs"}
    assert sum(bool(told(chunk)) for chunk in before if chunk.response_metadata) > 1
    for streamed in (chunks, [chunk async for chunk in chat.astream(ask())]):
        added = streamed[0]
        for chunk in streamed[1:]:
            added = added + chunk
        assert told(added) == told(whole)
        for name in ("model_name", "finish_reason"):
            assert added.response_metadata[name] == whole.response_metadata[name]
        assert added.response_metadata["guardrail"]["action"] == "comply"
    assert "guardrail" in last.response_metadata


def test_nothing_is_told_unasked_and_a_call_may_switch_it_off(chat: ChatSafeCoDe) -> None:
    assert "logprobs" not in chat.invoke(ask(), logprobs=False).response_metadata
    plain = ChatSafeCoDe(engine=chat.engine, temperature=0, max_tokens=4)
    assert "logprobs" not in plain.invoke(ask()).response_metadata
    *before, last = plain.stream(ask())
    assert not any(chunk.response_metadata for chunk in before)
    assert "logprobs" not in last.response_metadata


def test_the_policys_words_have_none(chat: ChatSafeCoDe) -> None:
    blocking = policy("blocking", verdict=STRICT)
    assert told(chat.invoke(ask("danger"), policy=blocking)) == []
    *before, last = chat.stream(ask("danger"), policy=blocking)
    assert not any(chunk.response_metadata for chunk in before)
    assert told(last) == []


def test_what_contradicts_itself_is_an_error(chat: ChatSafeCoDe) -> None:
    plain = ChatSafeCoDe(engine=chat.engine)
    with pytest.raises(SettingsError, match="set logprobs=True"):
        plain.invoke(ask(), top_logprobs=3)
    with pytest.raises(SettingsError, match="set logprobs=True"):
        ChatSafeCoDe(engine=chat.engine, top_logprobs=3)
    with pytest.raises(SettingsError, match="set logprobs=True"):
        chat.logprobs = None
    assert chat.logprobs is True


def test_a_cache_keeps_them_and_keeps_answers_without_them_apart(chat: ChatSafeCoDe) -> None:
    cache = InMemoryCache()
    shared = {"engine": chat.engine, "model": "m", "temperature": 0, "max_tokens": 3}
    telling, silent = (
        ChatSafeCoDe(**shared, cache=cache, **more) for more in ({"logprobs": True}, {})
    )
    first, other = telling.invoke(ask()), silent.invoke(ask())
    again = telling.invoke(ask())
    assert again.response_metadata["guardrail"]["cached_from"] is not None
    assert told(again) == told(first)
    assert "logprobs" not in other.response_metadata
    assert other.response_metadata["guardrail"]["cached_from"] is None
    more = telling.invoke(ask(), top_logprobs=2)
    assert more.response_metadata["guardrail"]["cached_from"] is None
    assert len(told(more)[0]["top_logprobs"]) == 2
