"""What a client asks for, by the names of the chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Function(BaseModel):
    """Which tool was called, and with what."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: str


class Call(BaseModel):
    """A call that an earlier answer made."""

    model_config = ConfigDict(extra="forbid")

    id: str
    type: Literal["function"] = "function"
    function: Function
    index: int | None = None


class Message(BaseModel):
    """One message; what its content may hold is `guardrail.chat`'s business."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Message:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of the {self.role} needs content")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of a tool needs tool_call_id")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only messages of the assistant hold tool_calls")
        return self


class StreamOptions(BaseModel):
    """How an answer is streamed."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class ChatBody(BaseModel):
    """The body of a request for an answer.

    What cannot be had is refused, and not ignored. `user` and `metadata` are not looked at: which
    policy holds is the key's to say, and not the request's.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    # Accepted where they ask for nothing:
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    store: Literal[False] | None = None

    @property
    def stops(self) -> list[str] | None:
        """The strings that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop

    def settings(self) -> dict[str, Any]:
        """Returns the settings of the call, without those that are not set."""
        named = (*_DECODING, *_DEMANDED)
        found = {name: getattr(self, name) for name in named}
        if (found.get("response_format") or {}).get("type") == "text":
            del found["response_format"]
        return {name: value for name, value in found.items() if value is not None}

    def said(self) -> list[dict[str, Any]]:
        """Returns the messages as plain JSON."""
        return [{"content": "", **each.model_dump(exclude_none=True)} for each in self.messages]


class ReviewBody(BaseModel):
    """A human's word on what was escalated."""

    model_config = ConfigDict(extra="forbid")

    approved: bool
    by: str = Field(min_length=1, max_length=200)


class Error(BaseModel):
    """Why a request is refused, or failed."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """What is told of an error; what was escalated says its `request_id` and decision, too."""

    error: Error


_DECODING: Sequence[str] = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed")
_DEMANDED: Sequence[str] = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
