"""A conversation as the messages of the OpenAI chat API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guardrail.backends.server.sent_pictures import whole_picture
from guardrail.request.conversation import Conversation, Part, Picture, Turn

AsPart = Callable[[Picture], dict[str, Any]]
"""Makes a picture a part of a message."""


def messages_of(
    conversation: Conversation, begun: str = "", *, shown: AsPart = whole_picture
) -> list[dict[str, Any]]:
    """Returns the messages.

    Args:
        conversation: Any.
        begun: What its answer begins with.
        shown: Makes its pictures parts of messages.
    """
    found = [_message(turn, shown) for turn in conversation.turns]
    if begun:
        if found and found[-1]["role"] == "assistant":  # the caller has begun the answer already
            last = found.pop()
            begun = f"{_text(last['content'])}{begun}"
        found.append({"role": "assistant", "content": begun})
    return found


def _message(turn: Turn, shown: AsPart) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": _content(turn.parts, shown)}
    if turn.tool_calls:
        message["tool_calls"] = [
            _call(each, f"call_{at}" if at >= len(turn.call_ids) else turn.call_ids[at])
            for at, each in enumerate(turn.tool_calls)
        ]
    elif turn.role == "tool" and turn.call_ids:
        message["tool_call_id"] = turn.call_ids[0]
    return message


def _call(call: Mapping[str, Any], known_by: str) -> dict[str, Any]:
    arguments = json.dumps(call["arguments"], ensure_ascii=False)
    function = {"name": call["name"], "arguments": arguments}
    return {"id": known_by, "type": "function", "function": function}


def _content(parts: Sequence[Part], shown: AsPart) -> Any:
    if not any(isinstance(part, Picture) for part in parts):
        return "\n".join(part for part in parts if isinstance(part, str))
    return [
        {"type": "text", "text": part} if isinstance(part, str) else shown(part) for part in parts
    ]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")
