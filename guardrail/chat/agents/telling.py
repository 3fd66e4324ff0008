"""An agent's messages as a judge is told them: all that a provider is sent, tool traffic in words.

The judge's own model may know no tools, and no names. INVARIANT: what people, tools and models said
is told whole, thoughts and the traffic of a provider's own tools included; what cannot be told
raises. A tool's artifact is no part of it: LangChain sends it to no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from guardrail.chat.agents.blocks import Block, check_shown, text_block, told_block
from guardrail.chat.asides import asides, in_words
from guardrail.request.telling import call_in_words

KEY = "guardrail"
_DIRECT = {"type": "direct"}
_CALLS = ("tool_call", "tool_use", "function_call", "invalid_tool_call", "tool_call_chunk")


def told(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Returns messages without tool traffic; the decisions that they carry stay on them.

    Raises:
        MessageError: One holds what a judge cannot be shown; it is named, counted from 0.
    """
    return [
        told_one
        for index, message in enumerate(messages)
        for told_one in _told(message, f"message {index} ({message.type})")
    ]


def told_with_call(messages: Sequence[BaseMessage], call: ToolCall) -> list[BaseMessage]:
    """Returns what led to a tool call, and the call itself, for a judge.

    Raises:
        MessageError: As for `told`.
    """
    return [*told(messages), HumanMessage(call_in_words(call["name"], call["args"]))]


def _told(message: BaseMessage, place: str) -> Iterator[BaseMessage]:
    kept = {key: held for key, held in message.response_metadata.items() if key.startswith(KEY)}
    if isinstance(message, AIMessage):
        content = [*_named(message), *_content(message, place), *_calls(message)]
        content += _further(message, place)
        if content:
            yield AIMessage(_plain(content), response_metadata=kept)
    elif isinstance(message, ToolMessage):
        head = text_block(f"Result of {message.name or 'the call'}:")
        answers = [text_block(line) for line in asides({"id": message.tool_call_id})]
        content = [head, *answers, *_content(message, place), *_further(message, place)]
        yield HumanMessage(_plain(content), response_metadata=kept)
    elif isinstance(message, HumanMessage | SystemMessage | ChatMessage):
        content = [*_named(message), *_content(message, place), *_further(message, place)]
        if _is_told_as_it_is(message, content):
            yield message
        else:
            clean: dict[str, Any] = {
                "content": _plain(content),
                "name": None,
                "additional_kwargs": {},
            }
            yield message.model_copy(update=clean)
    else:
        yield message


def _is_told_as_it_is(message: BaseMessage, content: Sequence[Block]) -> bool:
    said = message.content
    return list(content) == ([text_block(said)] if isinstance(said, str) else said)


def _plain(content: Sequence[Block]) -> list[str | dict[Any, Any]]:
    return list(content)


def _named(message: BaseMessage) -> list[Block]:
    return [text_block(f"name: {message.name}")] if message.name else []


def _content(message: BaseMessage, place: str) -> Iterator[Block]:
    said = [message.content] if isinstance(message.content, str) else message.content
    declared = _declared(message)
    for number, block in enumerate(said):
        if block == "" or (isinstance(block, Mapping) and _is_declared(block, declared)):
            continue
        yield from told_block(block, f"{place}, block {number}")


def _calls(message: AIMessage) -> Iterator[Block]:
    for call in message.tool_calls:
        yield text_block(call_in_words(call["name"], call["args"]))
        for line in asides({"id": call["id"]}):
            yield text_block(line)
    for broken in message.invalid_tool_calls:
        written = broken.get("args")
        yield text_block(f"Call: {broken.get('name')}({'' if written is None else written})")
        for line in asides(broken, without=("name", "args")):
            yield text_block(line)


def _further(message: BaseMessage, place: str) -> Iterator[Block]:
    """What providers put beside a message's content: refusals, thoughts, calls in their own form.

    Signatures of thoughts, which Gemini keeps by call, are no data but proof.
    """
    held = {
        key: value
        for key, value in message.additional_kwargs.items()
        if not (key == "__openai_role__" and value in ("system", "developer"))
    }
    signed = {key: value for key, value in held.items() if key.endswith("_signatures__")}
    check_shown({key: value for key, value in held.items() if key not in signed}, place)
    for key, value in held.items():  # all of it, whatever its key: a provider may read any
        if value not in (None, "", [], {}):
            yield text_block(f"{key}: {in_words(value)}")


def _declared(message: BaseMessage) -> list[Any]:
    """The calls of a message that are told anyway: what a block with one repeats."""
    if not isinstance(message, AIMessage):
        return []
    calls: list[Any] = [(call["name"], call["args"]) for call in message.tool_calls]
    return calls + [(call.get("name"), call.get("args")) for call in message.invalid_tool_calls]


def _is_declared(block: Mapping[str, Any], declared: Sequence[Any]) -> bool:
    """Whether a block is a call of the message's, and nothing more."""
    if block.get("type") not in _CALLS:
        return False
    arguments = "input" if block.get("type") == "tool_use" else "args"
    if block.get("caller", _DIRECT) != _DIRECT:
        return False
    if asides(block, without=("name", arguments, "caller")):
        return False
    return (block.get("name"), block.get(arguments)) in declared
