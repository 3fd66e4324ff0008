"""An agent's messages as a judge is told them: tool traffic in words.

The judge's own model may know no tools. What people and tools said is passed on whole; of what the
agent's model said, its text, its pictures and its calls (thoughts and a provider's own blocks are
no part of the request).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage

from guardrail.request.telling import call_in_words


def told(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Returns messages without tool traffic; the decisions that they carry stay on them."""
    return [told_one for message in messages for told_one in _told(message)]


def told_with_call(messages: Sequence[BaseMessage], call: ToolCall) -> list[BaseMessage]:
    """Returns what led to a tool call, and the call itself, for a judge."""
    return [*told(messages), HumanMessage(call_in_words(call["name"], call["args"]))]


def _told(message: BaseMessage) -> Iterator[BaseMessage]:
    kept = {"response_metadata": message.response_metadata}
    if isinstance(message, AIMessage):
        content: list[str | dict[Any, Any]] = [
            dict(block) for block in message.content_blocks if block["type"] in ("text", "image")
        ]
        calls = [call_in_words(call["name"], call["args"]) for call in message.tool_calls]
        calls += [f"Call: {call.get('name')}" for call in message.invalid_tool_calls]
        content += [_text(call) for call in calls]
        if content:
            yield AIMessage(content, **kept)
    elif isinstance(message, ToolMessage):
        inner = message.content if isinstance(message.content, list) else [message.text]
        said = [_text(part) if isinstance(part, str) else part for part in inner]
        yield HumanMessage([_text(f"Result of {message.name or 'the call'}:"), *said], **kept)
    else:
        yield message


def _text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}
