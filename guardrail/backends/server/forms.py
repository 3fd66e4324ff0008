"""Tools and forms of an answer: how the chat API asks for them, and how its calls are read.

The server holds the answer to them and takes its calls apart; here a call becomes text again, in a
form of our own, so that it is read, held back and recorded as that of any other model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrail.errors import ServerError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.call_format import PROBE, CallFormat
from guardrail.request.conversation import Conversation

CALLS = CallFormat(
    before="<guardrail_call>",
    between="</guardrail_call><guardrail_call>",
    after="</guardrail_call>",
    head=f'{{"name": "{PROBE}", "arguments": ',
    tail="}",
    keys=("name", "arguments"),
)
"""How calls that came from a server stand in an answer's text."""

HELD = (
    "the server holds the answer to its tools or its form: nothing is steered, and what is to be "
    "refused is refused in the policy's words"
)
"""What is recorded where the server decodes by itself."""


def needs_server(conversation: Conversation) -> bool:
    """Whether only the server can hold the answer to what is demanded of it."""
    return bool(conversation.tools) or conversation.form.constrains


def demanded(conversation: Conversation) -> dict[str, Any]:
    """Returns what the chat API is asked for the answer to have its form."""
    return _demanded(conversation, conversation.form)


def offered(conversation: Conversation) -> dict[str, Any]:
    """Returns what the chat API is asked for the model to be free to call its tools."""
    return _demanded(conversation, AnswerForm(parallel=conversation.form.parallel))


def told_only(conversation: Conversation) -> dict[str, Any]:
    """Returns what tells the model of its tools where it is to call none."""
    return _told(conversation, "none")


def _told(conversation: Conversation, choice: str) -> dict[str, Any]:
    tools = [dict(each) for each in conversation.tools]
    return {"tools": tools, "tool_choice": choice} if tools else {}


def _demanded(conversation: Conversation, form: AnswerForm) -> dict[str, Any]:
    found = _told(conversation, "auto")
    if found:
        if form.calls == "forced":
            named = {"type": "function", "function": {"name": form.tool}}
            found["tool_choice"] = named if form.tool else "required"
        if form.parallel is not None:
            found["parallel_tool_calls"] = form.parallel
    if form.schema is not None:
        schema = {"name": "answer", "schema": dict(form.schema), "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found


@dataclass
class _Call:
    name: str = ""
    arguments: str = ""


@dataclass
class CallPieces:
    """Puts calls together that a stream tells in pieces."""

    _calls: dict[int, _Call] = field(default_factory=dict)

    def take(self, delta: Mapping[str, Any]) -> None:
        """Takes the pieces of one event.

        Raises:
            ServerError: They are none of the chat API.
        """
        pieces = delta.get("tool_calls") or ()
        if not isinstance(pieces, list | tuple):
            raise ServerError("the server streams tool calls that are none")
        for piece in pieces:
            function = piece.get("function") if isinstance(piece, Mapping) else None
            if not isinstance(function, Mapping):
                raise ServerError("the server streams a tool call that is none")
            at = piece.get("index", len(self._calls))
            call = self._calls.setdefault(at if isinstance(at, int) else 0, _Call())
            for name in ("name", "arguments"):
                text = function.get(name)
                if isinstance(text, str):
                    setattr(call, name, getattr(call, name) + text)

    def text(self) -> str:
        """Returns the calls as they stand in an answer; empty without any."""
        return "".join(
            f"{CALLS.before}{CALLS.around_arguments(each.name)[0]}{each.arguments or '{}'}"
            f"{CALLS.tail}{CALLS.after}"
            for _, each in sorted(self._calls.items())
        )
