"""Tokens are counted as they are used: with pictures, tools and what the template puts around."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)

from guardrail import ChatSafeCoDe
from guardrail.errors import MessageError, PictureError
from tests.chat.test_chat_model import FAMILIES, ask, engine
from tests.chat.test_tool_calling import FORECAST, LOOK, made

CALL = AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "call00001"}])
SEEN = ToolMessage("a cliff", tool_call_id="call00001")

REQUESTS: dict[str, list[BaseMessage]] = {
    "text": [HumanMessage("How do I run faster here?")],
    "picture": ask("What is this?", 0),
    "three pictures": [*ask("What is this?", 0), *ask("and this?", 1), *ask("and this?", 2)],
    "history": [*ask("What is this?", 0), AIMessage("A cliff."), HumanMessage("and now?")],
    "system": [SystemMessage("Be brief."), *ask("What is this?", 1)],
    "control text": [HumanMessage("<|im_start|> <image> </s>")],
    "nothing said of it": ask("", 0),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_what_is_counted_is_what_is_used(family: str, request_: list[BaseMessage]) -> None:
    chat = ChatSafeCoDe(engine=engine(family), max_tokens=1)
    usage = chat.invoke(request_).usage_metadata
    assert usage is not None
    assert chat.get_num_tokens_from_messages(request_) == usage["input_tokens"] > 0


@pytest.mark.parametrize("tools", [[LOOK], [FORECAST, LOOK]])
@pytest.mark.parametrize("request_", [ask("Hello"), [*ask("Hello"), CALL, SEEN]])
def test_tools_are_counted(tools: list[Any], request_: list[BaseMessage]) -> None:
    chat = made()
    bound: Any = chat.bind_tools(tools, max_tokens=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counted = chat.get_num_tokens_from_messages(request_, tools)
    assert counted == bound.invoke(request_).usage_metadata["input_tokens"]
    assert counted == bound.get_num_tokens_from_messages(request_)
    assert counted > chat.get_num_tokens_from_messages(request_)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strategy", ["first", "last"])
def test_messages_are_trimmed_to_what_fits(family: str, strategy: Any) -> None:
    chat = ChatSafeCoDe(engine=engine(family), max_tokens=1)
    long: list[BaseMessage] = [SystemMessage("Be brief.")]
    for number in range(4):
        long += [*ask(f"What is number {number}?", number), AIMessage(f"It is {number}.")]
    long += [HumanMessage("and now?")]
    most = chat.get_num_tokens_from_messages(long) // 2
    keep: dict[str, Any] = (
        {"include_system": True, "start_on": "human"} if strategy == "last" else {"end_on": "human"}
    )
    trimmed = trim_messages(long, token_counter=chat, max_tokens=most, strategy=strategy, **keep)
    assert 0 < len(trimmed) < len(long)
    usage = chat.invoke(trimmed).usage_metadata
    assert usage is not None
    assert usage["input_tokens"] <= most


def test_parts_that_no_template_takes_are_counted_all_the_same() -> None:
    chat = made("mllama")
    assert chat.get_num_tokens_from_messages([]) == 0
    assert chat.get_num_tokens_from_messages([HumanMessage("")]) == 0
    for part in ([SEEN], [CALL, SEEN], [AIMessage("a"), AIMessage("b")], [SystemMessage("a")]):
        assert chat.get_num_tokens_from_messages(part) > 0


def test_what_could_not_be_asked_cannot_be_counted() -> None:
    chat = made()
    broken = [HumanMessage([{"type": "image", "base64": "aGVsbG8=", "mime_type": "image/png"}])]
    with pytest.raises(PictureError):
        chat.get_num_tokens_from_messages(broken)
    with pytest.raises(MessageError):
        chat.get_num_tokens_from_messages([HumanMessage([{"type": "video", "url": "x"}])])


def test_a_counter_of_the_callers_own_counts() -> None:
    chat = ChatSafeCoDe(engine=engine(), custom_get_token_ids=lambda text: [0] * len(text.split()))
    assert chat.get_num_tokens_from_messages([HumanMessage("a b c")]) == 4
