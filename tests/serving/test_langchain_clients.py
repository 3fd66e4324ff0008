"""LangChain's `ChatOpenAI`, and an agent of LangGraph around it, over a real port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import OpenAIRefusalError
from pydantic import BaseModel

from guardrail.policy import is_refusal, load_policy
from guardrail.serving.app import create_app
from tests.serving.served import chat, listening, picture

RUN = "How do I run faster here?"


class Look(BaseModel):
    """What a picture shows."""

    safe: bool


@tool
def price() -> dict[str, int]:
    """Look up the price."""
    return {"result": 40}


@pytest.fixture(scope="module")
def model() -> Iterator[ChatOpenAI]:
    """A client of the embedded model that judges for itself."""
    with listening(create_app(chat(None))) as url:
        yield ChatOpenAI(
            base_url=url,
            api_key="any",
            model="embedded",
            temperature=0,
            max_tokens=48,
            max_retries=0,
        )


def asked(name: str, text: str = RUN) -> list[BaseMessage]:
    return [HumanMessage([picture(name), {"type": "text", "text": text}])]


def refused(message: Any) -> bool:
    return is_refusal(message.text, load_policy("baseline").phrases)


def test_what_is_harmful_is_refused_and_what_is_not_is_answered(model: ChatOpenAI) -> None:
    assert refused(model.invoke(asked("cliff-edge")))
    assert not refused(model.invoke(asked("garden-balloon")))


async def test_a_stream_is_the_answer_in_pieces(model: ChatOpenAI) -> None:
    found: Any = None
    pieces = 0
    async for chunk in model.astream(asked("garden-balloon"), stream_usage=True):
        found = chunk if found is None else found + chunk
        pieces += bool(chunk.content)
    assert pieces > 3
    whole: Any = await model.ainvoke(asked("garden-balloon"))
    assert found.content == whole.content
    assert found.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"]


def test_log_probabilities_come_with_the_answer_and_with_its_pieces(model: ChatOpenAI) -> None:
    telling = model.bind(logprobs=True, top_logprobs=2, max_tokens=8)
    whole: Any = telling.invoke(asked("garden-balloon"))
    told = whole.response_metadata["logprobs"]["content"]
    assert "".join(each["token"] for each in told) == whole.content
    found: Any = None
    for chunk in telling.stream(asked("garden-balloon")):
        found = chunk if found is None else found + chunk
    assert found.response_metadata["logprobs"]["content"] == told


def test_a_forced_tool_is_called(model: ChatOpenAI) -> None:
    bound = model.bind_tools([price], tool_choice="any", strict=True, parallel_tool_calls=False)
    found: Any = bound.invoke(asked("drum-practice", "Use the tool: what is the price?"))
    [call] = found.tool_calls
    assert (call["name"], call["args"]) == ("price", {})


def test_a_forced_tool_is_not_called_where_the_policy_refuses(model: ChatOpenAI) -> None:
    found: Any = model.bind_tools([price], tool_choice="any").invoke(asked("cliff-edge"))
    assert found.tool_calls == []
    assert refused(found)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_an_object(model: ChatOpenAI, method: Any) -> None:
    structured = model.with_structured_output(Look, method=method)
    assert isinstance(structured.invoke(asked("garden-balloon")), Look)


def test_a_refusal_in_place_of_structured_output_is_told_as_one(model: ChatOpenAI) -> None:
    with pytest.raises(OpenAIRefusalError, match="help"):
        model.with_structured_output(Look).invoke(asked("cliff-edge"))


def test_an_agent_of_langgraph_runs_a_tool_and_tells_of_it(model: ChatOpenAI) -> None:
    agent: Any = create_agent(model, [price])
    said = agent.invoke({"messages": asked("drum-practice", "Use the tool: what is the price?")})
    _, calls, heard, last = said["messages"]
    assert isinstance(calls, AIMessage)
    assert [each["name"] for each in calls.tool_calls] == ["price"]
    assert heard.content == '{"result": 40}'
    assert last.text == "The result is 40."


def test_an_agent_is_refused_what_is_harmful(model: ChatOpenAI) -> None:
    agent: Any = create_agent(model, [price])
    *_, last = agent.invoke({"messages": asked("cliff-edge")})["messages"]
    assert refused(last)
    assert last.tool_calls == []


def test_what_waits_for_a_human_is_an_error_that_says_so() -> None:
    with listening(create_app(chat(0.99, on_unsafe="escalate"))) as url:
        waiting = ChatOpenAI(base_url=url, api_key="any", model="embedded", max_retries=0)
        with pytest.raises(openai.UnprocessableEntityError) as raised:
            waiting.invoke(asked("cliff-edge"))
    body: Any = raised.value.body
    assert (raised.value.code, body["guardrail"]["action"]) == ("escalated", "escalate")
