"""What a judge is told of an agent's messages: all that a provider reads, or nothing at all."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from guardrail.chat.agents import GuardrailMiddleware
from guardrail.chat.agents.telling import told, told_with_call
from guardrail.errors import MessageError
from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest
from tests.chat.agents.scripted import Remote

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


def test_thoughts_and_broken_calls_are_told_as_they_were_written() -> None:
    broken = {"name": "look", "args": "{", "id": "1", "error": "x", "type": "invalid_tool_call"}
    thought = {"type": "reasoning", "reasoning": "hm"}
    [said] = told(
        [AIMessage([thought, {"type": "text", "text": "well"}], invalid_tool_calls=[broken])]  # type: ignore[list-item]
    )
    assert said.content == [
        {"type": "text", "text": '{"type": "reasoning", "reasoning": "hm"}'},
        {"type": "text", "text": "well"},
        {"type": "text", "text": "Call: look({)"},
        {"type": "text", "text": "error: x"},
    ]
    assert told([AIMessage("")]) == []


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


# What a provider reads ---------------------------------------------------------------------------

PDF, HIDDEN = (base64.b64encode(held).decode() for held in (b"%PDF BAD", b"BAD"))


def human(block: Any) -> list[BaseMessage]:
    return [HumanMessage([block, {"type": "text", "text": "go"}])]


def said(block: Any, **held: Any) -> list[BaseMessage]:
    answer = AIMessage([block, {"type": "text", "text": "ok"}], **held)
    return [HumanMessage("q"), answer, HumanMessage("go")]


def result(**held: Any) -> list[BaseMessage]:
    call = {"name": "f", "args": {}, "id": "1"}
    return [
        HumanMessage("q"),
        AIMessage("", tool_calls=[call]),
        ToolMessage(tool_call_id="1", **held),
    ]


def document(**held: Any) -> dict[str, Any]:
    source = {"type": "text", "media_type": "text/plain", "data": "fine"}
    return {"type": "document", "source": source, **held}


ANTHROPIC: dict[str, Any] = {"response_metadata": {"model_provider": "anthropic"}}
OPENAI: dict[str, Any] = {"response_metadata": {"model_provider": "openai"}}
V1: dict[str, Any] = {"response_metadata": {"output_version": "v1"}}
SEARCH = {"type": "web_search_tool_result", "tool_use_id": "srv_1"}
FOUND = {"type": "web_search_result", "url": "https://x.org", "title": "BAD"}
RAN = {"type": "code_interpreter_call", "id": "ci_1", "code": "print(1)"}

CONTENT: dict[str, list[BaseMessage]] = {
    "document": human(document(source={"type": "text", "media_type": "text/plain", "data": "BAD"})),
    "pdf": human(document(source={"type": "base64", "media_type": "application/pdf", "data": PDF})),
    "document by address": human(document(source={"type": "url", "url": "https://x/BAD.pdf"})),
    "document by id": human(document(source={"type": "file", "file_id": "BAD"})),
    "document of blocks": human(
        document(source={"type": "content", "content": [{"type": "text", "text": "BAD"}]})
    ),
    "document title": human(document(title="BAD")),
    "document context": human(document(context="BAD")),
    "document in a result": result(content=[document(title="BAD")]),
    "document in a system prompt": [SystemMessage([document(context="BAD")]), HumanMessage("go")],
    "document wrapped": human({"type": "non_standard", "value": document(title="BAD")}),
    "search result": human(
        {
            "type": "search_result",
            "source": "x",
            "title": "BAD",
            "content": [{"type": "text", "text": "fine"}],
        }
    ),
    "tool result": human({"type": "tool_result", "tool_use_id": "1", "content": "BAD"}),
    "input file": human({"type": "input_file", "file_data": "data:text/plain;base64," + HIDDEN}),
    "file": human({"type": "file", "file": {"file_data": "data:application/pdf;base64," + PDF}}),
    "plain text as data": human(
        {"type": "text-plain", "base64": HIDDEN, "mime_type": "text/plain"}
    ),
    "plain text": human({"type": "text-plain", "text": "BAD", "mime_type": "text/plain"}),
    "plain text title": human({"type": "text-plain", "text": "fine", "title": "BAD"}),
    "text with more": human({"type": "text", "text": "fine", "more": {"BAD": 1}}),
    "text cited": human({"type": "text", "text": "fine", "citations": [{"cited_text": "BAD"}]}),
    "audio": human({"type": "input_audio", "input_audio": {"data": HIDDEN, "format": "wav"}}),
    "unknown": human({"type": "from the future", "BAD": "BAD"}),
    "without a type": human({"note": "BAD"}),
    "name": [HumanMessage("go", name="BAD")],
    "name of a system": [SystemMessage("fine", name="BAD"), HumanMessage("go")],
    "name of an answer": [HumanMessage("q"), AIMessage("ok", name="BAD"), HumanMessage("go")],
    "name of a tool": result(content="ok", name="BAD"),
    "additional_kwargs": [HumanMessage("go", additional_kwargs={"x": "BAD"})],
    "additional_kwargs key": [HumanMessage("go", additional_kwargs={"BAD": 1})],
    "additional_kwargs of a system": [
        SystemMessage("fine", additional_kwargs={"x": ["BAD"]}),
        HumanMessage("go"),
    ],
    "additional_kwargs of a result": result(content="ok", additional_kwargs={"x": {"y": "BAD"}}),
    "refusal kept aside": said("well", additional_kwargs={"refusal": "BAD"}),
    "thoughts kept aside": said("well", additional_kwargs={"reasoning_content": "BAD"}),
    "function_call": said(
        "well", additional_kwargs={"function_call": {"name": "f", "arguments": "BAD"}}
    ),
    "sound kept aside": said("well", additional_kwargs={"audio": {"id": "1", "data": HIDDEN}}),
    "refusal": said({"type": "refusal", "refusal": "BAD"}),
    "refusal of openai": said({"type": "refusal", "refusal": "BAD"}, **OPENAI),
    "reasoning": said({"type": "reasoning", "reasoning": "BAD"}),
    "reasoning summary": said(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "BAD"}]}, **OPENAI
    ),
    "thinking": said({"type": "thinking", "thinking": "BAD", "signature": "c2ln"}, **ANTHROPIC),
    "redacted thinking": said({"type": "redacted_thinking", "data": HIDDEN}, **ANTHROPIC),
    "encrypted thoughts": said({"type": "reasoning", "encrypted_content": HIDDEN}, **OPENAI),
    "citation": said(
        {"type": "text", "text": "fine", "citations": [{"title": "BAD"}]}, **ANTHROPIC
    ),
    "annotation": said({"type": "text", "text": "fine", "annotations": [{"url": "BAD"}]}, **OPENAI),
    "call of a provider's tool": said(
        {"type": "server_tool_use", "name": "web_search", "input": {"query": "BAD"}, "id": "srv_1"},
        **ANTHROPIC,
    ),
    "call of a provider's tool, standard": said(
        {"type": "server_tool_call", "name": "web_search", "args": {"query": "BAD"}, "id": "1"},
        **V1,
    ),
    "result of a provider's tool": said({**SEARCH, "content": [FOUND]}, **ANTHROPIC),
    "result of a provider's tool, sealed": said(
        {**SEARCH, "content": [{**FOUND, "title": "fine", "encrypted_content": HIDDEN}]},
        **ANTHROPIC,
    ),
    "result of a provider's tool, standard": said(
        {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "output": "BAD"},
        **V1,
    ),
    "code that a provider ran": said(
        {**RAN, "outputs": [{"type": "logs", "logs": "BAD"}]}, **OPENAI
    ),
    "code to be run": said({"type": "executable_code", "executable_code": "BAD"}),
    "mcp call": said(
        {"type": "mcp_call", "name": "f", "arguments": "{}", "output": "BAD"}, **OPENAI
    ),
    "mcp tools": said({"type": "mcp_list_tools", "tools": [{"description": "BAD"}]}, **OPENAI),
    "mcp result": said({"type": "mcp_tool_result", "content": [{"text": "BAD"}]}, **ANTHROPIC),
    "tool_use that is no call of the message's": said(
        {"type": "tool_use", "id": "1", "name": "f", "input": {"at": "BAD"}}
    ),
    "broken call": said(
        "well", invalid_tool_calls=[{"name": "f", "args": "BAD{", "id": "1", "error": None}]
    ),
    "text of a result": result(content="BAD"),
    "result kept elsewhere": result(content=[{"type": "file", "file_id": "BAD"}]),
    "id that is a sentence": [
        HumanMessage("q"),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "do what is BAD"}]),
        ToolMessage("ok", tool_call_id="do what is BAD"),
    ],
    "developer": [ChatMessage("BAD", role="developer"), HumanMessage("go")],
    "function message": [HumanMessage("go"), FunctionMessage("BAD", name="f")],
    "picture with words": human(
        {"type": "image", "base64": "AAAA", "mime_type": "image/png", "alt": "BAD"}
    ),
    "media type that is a sentence": human(
        {"type": "text-plain", "text": "x", "mime_type": "text/plain; BAD"}
    ),
    "key of a call's argument": said("", tool_calls=[{"name": "f", "args": {"BAD": 1}, "id": "1"}]),
    "bytes": human({"type": "note", "held": b"BAD"}),
    "picture twice": human({"type": "image", "base64": "AAAA", "url": "https://x/BAD.png"}),
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_a_model_reads_is_seen_by_the_judge_or_withheld(name: str) -> None:
    seen: list[str] = []

    def judge(request: JudgeRequest) -> float:
        parts = [part for turn in request.conversation.turns for part in turn.parts]
        seen.append(" ".join(part for part in parts if isinstance(part, str)))
        return 0.95 if "BAD" in seen[-1] else 0.01

    model = Remote(answers=[AIMessage("ANSWERED")])
    agent = create_agent(model, [], middleware=[GuardrailMiddleware(Guard(judge=judge))])
    last = agent.invoke({"messages": CONTENT[name]})["messages"][-1]
    assert model.asked == []
    assert last.response_metadata["guardrail"]["action"] in ("block", "refuse")


def test_what_providers_add_to_harmless_messages_withholds_nothing() -> None:
    call = {"name": "f", "args": {"data": "x", "url": "https://x.org"}, "id": "toolu_1"}
    used = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": call["args"]}
    messages = [
        HumanMessage([{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}]),
        AIMessage(
            [
                {"type": "thinking", "thinking": "hm", "signature": "x" * 900, "index": 0},
                {"type": "text", "text": "ok", "annotations": [], "id": "msg_1", "index": 1},
                {**used, "caller": {"type": "direct"}},
                {**SEARCH, "content": [FOUND]},
            ],
            tool_calls=[call],
            additional_kwargs={"refusal": None},
            **ANTHROPIC,
        ),
        ToolMessage("found", tool_call_id="toolu_1", name="f", artifact=object()),
    ]
    _, answer, _ = told(messages)
    texts = [block["text"] for block in answer.content if isinstance(block, dict)]
    assert texts[1] == "ok"
    assert texts[3:] == ['Call: f({"data": "x", "url": "https://x.org"})']


def test_what_cannot_be_told_is_named_by_its_place_alone() -> None:
    for name in ("pdf", "audio", "redacted thinking", "picture twice"):
        with pytest.raises(MessageError, match=r"^message \d \((human|ai)\), block 0: ") as caught:
            told(CONTENT[name])
        assert "BAD" not in str(caught.value)
