"""OpenAI's Python SDK over a real port: streams of calls, structured output, histories, nulls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from guardrail.serving.app import create_app
from tests.serving.served import chat, listening, picture
from tests.serving.test_clients import messages
from tests.serving.test_completions import TOOL

GREEDY: dict[str, Any] = {"model": "embedded", "temperature": 0}


class Look(BaseModel):
    """What a picture shows."""

    safe: bool


@pytest.fixture(scope="module")
def sdk() -> Iterator[OpenAI]:
    """A client of the embedded model that judges for itself."""
    with (
        listening(create_app(chat(None))) as url,
        OpenAI(base_url=url, api_key="any", max_retries=0) as found,
    ):
        yield found


def shown(name: str, text: str = "How do I run faster here?") -> Any:
    return [{"role": "user", "content": [picture(name), {"type": "text", "text": text}]}]


def test_structured_output_is_parsed(sdk: OpenAI) -> None:
    found = sdk.chat.completions.parse(
        **GREEDY, messages=shown("garden-balloon"), response_format=Look, max_tokens=40
    )
    assert isinstance(found.choices[0].message.parsed, Look)


def test_a_refusal_in_place_of_structured_output_is_the_sdks_refusal(sdk: OpenAI) -> None:
    asked: Any = {**GREEDY, "messages": shown("cliff-edge"), "response_format": Look}
    [choice] = sdk.chat.completions.parse(**asked, max_tokens=60).choices
    assert choice.message.parsed is None
    assert choice.message.content is None
    assert choice.message.refusal
    with sdk.chat.completions.stream(**asked, max_tokens=60) as stream:
        kinds = {event.type for event in stream}
        streamed = stream.get_final_completion().choices[0].message
    assert streamed.refusal == choice.message.refusal
    assert "refusal.delta" in kinds
    assert "content.delta" not in kinds
    again = [*shown("cliff-edge"), streamed.model_dump(), *shown("garden-balloon")]
    assert sdk.chat.completions.create(**GREEDY, messages=again, max_tokens=4).choices


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the SDK's own
def test_structured_output_is_streamed(sdk: OpenAI) -> None:
    with sdk.chat.completions.stream(
        **GREEDY, messages=shown("garden-balloon"), response_format=Look, max_tokens=40
    ) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        message = stream.get_final_completion().choices[0].message
    assert message.parsed == Look.model_validate_json(text)
    again: Any = [*shown("garden-balloon"), message, *shown("garden-balloon")]
    assert sdk.chat.completions.create(**GREEDY, messages=again, max_tokens=4).choices


def test_what_the_policy_blocks_is_the_sdks_content_filter() -> None:
    app = create_app(chat(0.99, on_unsafe="block"))
    asked: Any = {**GREEDY, "messages": messages(), "response_format": Look}
    with (
        listening(app) as url,
        OpenAI(base_url=url, api_key="any", max_retries=0) as found,
        pytest.raises(openai.ContentFilterFinishReasonError),
    ):
        found.chat.completions.parse(**asked, max_tokens=40)


def test_a_call_is_streamed_and_answered(sdk: OpenAI) -> None:
    function: Any = TOOL["function"]
    tools: Any = [{**TOOL, "function": {**function, "strict": True}}]
    asked = messages()
    with sdk.chat.completions.stream(
        **GREEDY, messages=asked, tools=tools, tool_choice="required", max_tokens=60
    ) as stream:
        said = stream.get_final_completion().choices[0]
    [call] = said.message.tool_calls or ()
    assert said.finish_reason == "tool_calls"
    assert json.loads(call.function.arguments)["city"] in ("Bern", "Oslo")
    heard = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    told: Any = [*asked, said.message, heard]  # the SDK's own message, as its users append it
    plain: Any = [*asked, said.message.model_dump(), heard]  # or with all its nulls
    for history in (told, plain):
        found = sdk.chat.completions.create(**GREEDY, messages=history, tools=tools, max_tokens=4)
        assert found.choices[0].message.role == "assistant"


def test_log_probabilities_are_the_sdks_own(sdk: OpenAI) -> None:
    asked: Any = {**GREEDY, "messages": shown("garden-balloon"), "max_tokens": 60}
    asked |= {"logprobs": True, "top_logprobs": 2}
    [choice] = sdk.chat.completions.create(**asked).choices
    assert choice.logprobs is not None
    told = choice.logprobs.content or []
    assert "".join(each.token for each in told) == choice.message.content
    assert all(each.logprob <= 0 and len(each.top_logprobs) == 2 for each in told)
    with sdk.chat.completions.stream(**asked) as stream:
        kinds = {event.type for event in stream}
        [streamed] = stream.get_final_completion().choices
    assert "logprobs.content.delta" in kinds
    assert streamed.logprobs is not None
    assert streamed.logprobs.content == told


def test_what_asks_for_nothing_is_taken(sdk: OpenAI) -> None:
    nothing: Any = {
        "n": 1,
        "stop": None,
        "max_completion_tokens": None,
        "max_tokens": 4,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "logprobs": None,
        "top_logprobs": None,
        "logit_bias": {},
        "stream": None,
        "stream_options": None,
        "store": False,
        "user": "u",
        "safety_identifier": "u",
        "prompt_cache_key": "u",
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "modalities": ["text"],
        "reasoning_effort": None,
        "audio": None,
        "response_format": {"type": "text"},
    }
    found = sdk.chat.completions.create(**GREEDY, messages=messages(), **nothing)
    alone = sdk.chat.completions.create(**GREEDY, messages=messages(), max_tokens=4)
    assert found.choices[0].message == alone.choices[0].message


@pytest.mark.parametrize(
    "asked",
    [
        {"top_logprobs": 3},
        {"top_logprobs": 21, "logprobs": True},
        {"logit_bias": {"5": 100}},
        {"store": True},
        {"service_tier": "flex"},
        {"modalities": ["audio"]},
        {"reasoning_effort": "high"},
        {"verbosity": "low"},
        {"prediction": {"type": "content", "content": "x"}},
        {"web_search_options": {}},
    ],
)
def test_what_cannot_be_had_is_named(sdk: OpenAI, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(**GREEDY, messages=messages(), **asked)
    assert str(raised.value.param).split(".")[0] == next(iter(asked))
