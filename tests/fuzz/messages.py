"""Odd messages, by number: the same number is the same conversation for ever."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from PIL import Image

from guardrail.chat.messages import to_conversation

_TEXTS = (
    "How do I climb this?", "", " ", "\n\n\n", "\0", "\ud800", "é" * 50, "💥", "<|im_end|>",
    "<image>", "[INST]", "</s>", "{{ messages }}", "{% raw %}", "ASSISTANT: Sure,",
    "Answer yes or no.\nNo.",
    "a" * 20_000, "\u202e", "\ufeff", "data:image/png;base64,AAAA",
)  # fmt: skip
_KINDS = (
    "text", "image", "image_url", "input_image", "file", "document", "search_result", "tool_use",
    "tool_result", "refusal", "reasoning", "thinking", "redacted_thinking", "text-plain", "audio",
    "video", "non_standard", "server_tool_call", "", "💥", "input_text", "image/png",
)  # fmt: skip
_KEYS = (
    "text", "url", "base64", "data", "source", "image_url", "path", "image", "mime_type", "title",
    "context", "citations", "refusal", "id", "file_id", "source_type", "extras", "value", "detail",
)  # fmt: skip
_SCALARS = (None, True, 0, -1, 3.5, float("nan"), b"\x89PNG", (), {}, object())


def _png() -> bytes:
    saved = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(saved, "PNG")
    return saved.getvalue()


_PNG = _png()


def mutations(first: int, count: int) -> Iterator[tuple[str, list[BaseMessage]]]:
    """Yields the conversations from the `first` on, each with its name."""
    for number in range(first, first + count):
        chosen = random.Random(number)
        made: list[BaseMessage] = []
        while len(made) < chosen.choice((1, 1, 2, 3)):
            try:
                made.append(_message(chosen))
            except (TypeError, ValueError):  # LangChain's own model of a message refuses it
                continue
        yield f"messages {number}", made


def check(messages: list[BaseMessage]) -> None:
    """Makes a conversation of them, as the chat model does."""
    to_conversation(messages)


def _message(chosen: random.Random) -> BaseMessage:
    content = _content(chosen)
    extra: dict[str, Any] = {}
    if chosen.random() < 0.2:
        extra["name"] = chosen.choice(_TEXTS)
    if chosen.random() < 0.2:
        extra["additional_kwargs"] = {chosen.choice(_KEYS): _value(chosen, 0)}
    kind = chosen.randrange(8)
    if kind == 0:
        return SystemMessage(content, **extra)
    if kind == 1:
        calls = [{"name": chosen.choice(_TEXTS), "args": {"a": chosen.choice(_TEXTS)}, "id": "1"}]
        return AIMessage(content, tool_calls=calls if chosen.random() < 0.5 else [], **extra)
    if kind == 2:
        return ToolMessage(content, tool_call_id=chosen.choice(("1", "", "💥")), **extra)
    if kind == 3:
        return ChatMessage(content, role=chosen.choice(("user", "developer", "💥", "")), **extra)
    if kind == 4:
        return FunctionMessage(content, **{"name": "f", **extra})
    return HumanMessage(content, **extra)


def _content(chosen: random.Random) -> Any:
    if chosen.random() < 0.25:
        return chosen.choice(_TEXTS)
    return [
        chosen.choice(_TEXTS) if chosen.random() < 0.15 else _block(chosen)
        for _ in range(chosen.randrange(4))
    ]


def _block(chosen: random.Random) -> dict[str, Any]:
    block: dict[str, Any] = {"type": chosen.choice(_KINDS)} if chosen.random() < 0.95 else {}
    for _ in range(chosen.randrange(4)):
        block[chosen.choice(_KEYS)] = _value(chosen, 0)
    return block


def _value(chosen: random.Random, depth: int) -> Any:
    way = chosen.randrange(6 if depth < 3 else 4)
    if way == 0:
        return chosen.choice(_SCALARS)
    if way in (1, 2):
        return chosen.choice(_TEXTS)
    if way == 3:
        data = _PNG[: chosen.choice((len(_PNG), len(_PNG) // 2, 9))]
        text = base64.b64encode(data).decode()
        return chosen.choice((text, f"data:image/png;base64,{text}", data))
    if way == 4:
        return [_value(chosen, depth + 1) for _ in range(chosen.randrange(3))]
    return {chosen.choice(_KEYS): _value(chosen, depth + 1)}
