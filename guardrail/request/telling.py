"""A conversation as a judge is told it: tool traffic in words.

The judge's own model may know no tools, and one that is shown text and pictures alone would not see
what a call is about to do. The form is that of `guardrail.chat.agents.telling`, which starts from
LangChain's messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from guardrail.errors import MessageError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Turn


def told(conversation: Conversation) -> Conversation:
    """Returns a conversation without tools and their traffic: calls are the assistant's words, and
    results the user's. Turns that come to follow one of the same role join it.
    """
    names: dict[str, str] = {}
    turns: list[Turn] = []
    for turn in conversation.turns:
        calls = zip(turn.call_ids, turn.tool_calls, strict=False)  # there may be no ids
        names |= {known: str(call["name"]) for known, call in calls}
        said = _told(turn, names)
        if turns and turns[-1].role == said.role != "system":
            said = replace(said, parts=(*turns.pop().parts, *said.parts))
        turns.append(said)
    return replace(conversation, turns=tuple(turns), tools=(), form=AnswerForm())


def _told(turn: Turn, names: Mapping[str, str]) -> Turn:
    if turn.role == "tool":
        name = names.get(turn.call_ids[0], "") if turn.call_ids else ""
        return Turn("user", (f"Result of {name or 'the call'}:", *turn.parts))
    calls = (call_in_words(call["name"], call["arguments"]) for call in turn.tool_calls)
    return Turn(turn.role, (*turn.parts, *calls))


def answer_in_words(answer: str | Turn) -> str:
    """Returns an answer as a judge is told it: its text, then its calls.

    Args:
        answer: Words, or the assistant's turn.

    Raises:
        MessageError: It holds a picture, which a judge of answers is not shown.
    """
    turn = Turn("assistant", (answer,)) if isinstance(answer, str) else answer
    if turn.pictures:
        raise MessageError("the answer holds a picture: text and tool calls alone can be judged")
    return _told(turn, {}).text


def call_in_words(name: str, arguments: Any) -> str:
    """Returns a tool call as a judge is told it."""
    return f"Call: {name}({json.dumps(arguments, ensure_ascii=False, default=str)})"
