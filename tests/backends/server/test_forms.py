"""Tools and forms of an answer go to the server, and its calls come back as calls."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.backends.server.forms import CALLS, CallPieces
from guardrail.errors import ServerError
from guardrail.request.call_reader import CallReader
from guardrail.request.delta import ToolCall
from guardrail.steering.unfolding import HELD_BACK
from tests.backends.server.test_backend import P, backend, of_p, policy, server

SCHEMA = {
    "title": "where",
    "type": "object",
    "properties": {"place": {"enum": ["here", "there"]}},
    "required": ["place"],
}
LOOK = {"name": "look", "description": "Looks.", "parameters": SCHEMA}


def chat(action: str = "comply") -> ChatSafeCoDe:
    engine = SafeCoDe(backend=backend(), policy=policy(), judge=of_p(P[action]))  # type: ignore[index, arg-type]
    return ChatSafeCoDe(engine=engine, max_tokens=64, temperature=0)


def test_a_forced_call_comes_back_as_one_and_its_tokens_are_counted() -> None:
    model = chat().bind_tools([LOOK], tool_choice="look")
    answer = model.invoke("Look around.")
    assert isinstance(answer, AIMessage)
    [call] = answer.tool_calls
    assert call["name"] == "look"
    jsonschema.validate(call["args"], SCHEMA)
    assert answer.content == ""
    decision = answer.response_metadata["guardrail"]
    assert decision["outcome"]["finish_reason"] == "tool_calls"
    assert decision["outcome"]["output_tokens"] > 5
    assert any("nothing is steered" in each for each in decision["errors"])
    assert decision["steps"] == []
    asked = server().requests[-1]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert asked["stream"]


def test_the_judge_is_told_of_tools_and_calls_none() -> None:
    base = policy()
    asked_all = {"judge": base.judge.model_copy(update={"screen": {}})}
    engine = SafeCoDe(backend=backend(), policy=base.model_copy(update=asked_all))
    before = len(server().requests)
    ChatSafeCoDe(engine=engine, max_tokens=4, temperature=0).bind_tools([LOOK]).invoke("Look.")
    asked = server().requests[before:]
    judged = [each for each in asked if each["max_tokens"] == 1 and each.get("tools")]
    assert len(judged) >= len(policy().categories)
    assert all(each["tool_choice"] == "none" for each in judged)


def test_a_call_of_a_refused_request_is_held_back() -> None:
    answer = chat("refuse").bind_tools([LOOK]).invoke("Look around.")
    assert isinstance(answer, AIMessage)
    assert answer.tool_calls == []
    assert answer.response_metadata["guardrail"]["outcome"]["replaced"]
    forced = chat("refuse").bind_tools([LOOK], tool_choice="look").invoke("Look around.")
    assert isinstance(forced, AIMessage)
    assert forced.tool_calls == []


def test_an_answer_by_a_schema_follows_it() -> None:
    found = chat().with_structured_output(SCHEMA, method="json_schema").invoke("Where?")
    jsonschema.validate(found, SCHEMA)


def test_results_of_tools_go_to_the_server() -> None:
    said = [
        HumanMessage("Look around."),
        AIMessage("", tool_calls=[{"name": "look", "args": {"place": "here"}, "id": "a"}]),
        ToolMessage("A tree.", tool_call_id="a"),
    ]
    answer = chat().bind_tools([LOOK]).invoke(said)
    assert isinstance(answer, AIMessage)
    sent = server().requests[-1]["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "a"


def read(text: str, *names: str) -> list[Any]:
    reader = CallReader(CALLS, names)
    return [each.call for each in [*reader.push(text), *reader.finish()]]


def test_calls_in_pieces_are_put_together_and_read_as_any_others() -> None:
    pieces = CallPieces()
    for at, function in (
        (0, {"name": "look", "arguments": ""}),
        (1, {"name": 'say"it', "arguments": "{}"}),
        (0, {"arguments": '{"a": '}),
        (0, {"arguments": "1}"}),
    ):
        pieces.take({"tool_calls": [{"index": at, "function": function}]})
    found = read(pieces.text(), "look", 'say"it')
    assert [(each.name, each.arguments) for each in found if isinstance(each, ToolCall)] == [
        ("look", {"a": 1}),
        ('say"it', {}),
    ]


@pytest.mark.parametrize("broken", ["x", [3], [{"index": 0}], [{"function": 1}]])
def test_pieces_that_are_none_raise(broken: Any) -> None:
    with pytest.raises(ServerError, match=r"that (are|is) none"):
        CallPieces().take({"tool_calls": broken})


def test_a_call_that_ends_half_way_is_invalid() -> None:
    pieces = CallPieces()
    pieces.take({"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": "{"}}]})
    [call] = read(pieces.text(), "look")
    assert not isinstance(call, ToolCall)


def test_nothing_of_a_call_is_let_through_where_it_is_held_back() -> None:
    pieces = CallPieces()
    pieces.take({"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": "{}"}}]})
    reader = CallReader(CALLS, ["look"], held_back=HELD_BACK)
    [delta] = [*reader.push(pieces.text()), *reader.finish()]
    assert not isinstance(delta.call, ToolCall)
