"""What a guarded model gives back: text and tool calls, then the answer with its decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardrail.record.decision import Decision


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
    """A piece of an answer, never taken back: some text, or one whole call."""

    text: str
    call: ToolCall | InvalidCall | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens of one request: prompt (pictures included) and answer."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        text: What the model said beside its calls, or the policy's words if it was blocked.
        token_ids: The generated tokens, the end-of-sequence token included; empty if blocked.
        decision: The record of what was decided, and why.
        usage: Token counts.
        calls: The tool calls, in order.
    """

    text: str
    token_ids: tuple[int, ...]
    decision: Decision
    usage: Usage
    calls: tuple[ToolCall | InvalidCall, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What was decided about a request that somebody else answers.

    Attributes:
        decision: The record.
        refusal: The policy's words for a request that is not to be answered; empty if it may be.
    """

    decision: Decision
    refusal: str

    @property
    def withheld(self) -> bool:
        """Whether the request is not to be answered as it stands."""
        return self.decision.outcome.finish_reason != "judged"
