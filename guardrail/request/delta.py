"""What an answer comes as: text, tool calls, and how many tokens they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardrail.request.logprobs import TokenLogprob


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool that was given; its arguments are JSON, not checked against a schema."""

    name: str
    arguments: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class InvalidCall:
    """What was meant as a call and is none, or must not be made.

    Attributes:
        text: As the model wrote it.
        error: Why it is not taken; it goes on record, and holds no word of request or answer.
        id: As for a call.
        name: The tool that it names, where that can be read.
    """

    text: str
    error: str
    id: str
    name: str | None = None


@dataclass(frozen=True)
class Delta:
    """A piece of an answer, never taken back: some text, or one whole call.

    Attributes:
        text: Empty beside a call.
        call: The call.
        logprobs: Where they are wanted, of the tokens that the text ends with this piece.
    """

    text: str
    call: ToolCall | InvalidCall | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Tokens of one request: prompt (pictures included) and answer."""

    input_tokens: int
    output_tokens: int
