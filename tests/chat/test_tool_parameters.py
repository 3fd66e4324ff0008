"""A function that takes nothing: in whatever form it is given, a forced call has no arguments."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool, tool
from pydantic import BaseModel

from guardrail.request.answer_form import NO_PARAMETERS
from guardrail.request.answer_grammar import parameters_of
from tests.chat.test_tool_calling import made


@tool
def ping() -> str:
    """Pings."""
    return "pong"


class Ping(BaseModel):
    """Pings."""


def ping_() -> None:
    """Pings."""


FORMS: list[Any] = [
    {"type": "function", "function": {"name": "f"}},
    {"type": "function", "function": {"name": "f", "parameters": {}}},
    {"type": "function", "function": {"name": "f", "parameters": None}},
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
    {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
    },
    {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": None}},
    },
    {"name": "f", "description": "OpenAI's older form"},
    {"name": "f", "input_schema": {"type": "object"}, "description": "Anthropic's form"},
    {"title": "f", "description": "a JSON schema", "type": "object", "properties": {}},
    ping,
    Ping,
    ping_,
    StructuredTool.from_function(ping_, name="f"),
]


@pytest.mark.parametrize("form", FORMS, ids=[str(at) for at in range(len(FORMS))])
def test_a_forced_call_of_a_function_without_parameters_has_no_arguments(form: Any) -> None:
    before = copy.deepcopy(form) if isinstance(form, dict) else None
    answer = made().bind_tools([form], tool_choice="any").invoke("Hello")
    assert isinstance(answer, AIMessage)
    assert [call["args"] for call in answer.tool_calls] == [{}]
    assert before is None or form == before


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "patternProperties": {"^a": {}}},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        {"type": "object", "minProperties": 1},
    ],
)
def test_a_schema_that_says_something_of_arguments_is_left_alone(schema: dict[str, Any]) -> None:
    assert parameters_of({"name": "f", "parameters": schema}) is schema


def test_one_that_says_nothing_keeps_its_words() -> None:
    said = {"type": "object", "description": "nothing"}
    assert parameters_of({"name": "f", "parameters": said}) == {**said, **NO_PARAMETERS}
