"""What a judge is told of an agent's messages."""

from __future__ import annotations

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from guardrail.chat.agents.telling import told, told_with_call

CALL = ToolCall(name="look", args={"at": "the cliff"}, id="1")
IMAGE = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}


def test_people_are_passed_on_as_they_are() -> None:
    messages = [SystemMessage("be kind"), HumanMessage([IMAGE])]
    assert told(messages) == messages


def test_calls_and_their_results_become_words() -> None:
    said, answered = told(
        [
            AIMessage("Let me see.", tool_calls=[CALL]),
            ToolMessage(["a cliff", IMAGE], tool_call_id="1", name="look"),
        ]
    )
    assert isinstance(said, AIMessage)
    assert not said.tool_calls
    assert said.text == 'Let me see.Call: look({"at": "the cliff"})'
    assert isinstance(answered, HumanMessage)
    assert answered.content[1:] == [{"type": "text", "text": "a cliff"}, IMAGE]
    assert answered.text.startswith("Result of look:")


def test_thoughts_and_broken_calls_do_not_stop_the_judge() -> None:
    broken = {"name": "look", "args": "{", "id": "1", "error": "x", "type": "invalid_tool_call"}
    thought = {"type": "reasoning", "reasoning": "hm"}
    [said] = told(
        [AIMessage([thought, {"type": "text", "text": "well"}], invalid_tool_calls=[broken])]  # type: ignore[list-item]
    )
    assert said.content == [
        {"type": "text", "text": "well"},
        {"type": "text", "text": "Call: look"},
    ]
    assert told([AIMessage([thought])]) == []


def test_decisions_stay_on_the_messages() -> None:
    kept = {"guardrail": {"action": "refuse"}}
    for message in told(
        [
            AIMessage("no", response_metadata=kept),
            ToolMessage("no", tool_call_id="1", response_metadata=kept),
        ]
    ):
        assert message.response_metadata == kept


def test_a_call_is_put_after_what_led_to_it() -> None:
    first, call = told_with_call([HumanMessage("Where am I?")], CALL)
    assert first == HumanMessage("Where am I?")
    assert call.text == 'Call: look({"at": "the cliff"})'
