"""What a client asks for, by the names of the chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["system", "developer", "user", "assistant", "tool"]


class _Known(BaseModel):
    """Takes what it knows. A null asks for nothing, so that it may stand under any name."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


class Function(_Known):
    """Which tool was called, and with what."""

    name: str
    arguments: str
    parsed_arguments: Any = Field(None, exclude=True)
    """What OpenAI's SDK read out of the arguments, and sends along."""


class Call(_Known):
    """A call that an earlier answer made."""

    id: str
    type: Literal["function"] = "function"
    function: Function
    index: int | None = None


class Message(_Known):
    """One message; what its content may hold is `guardrail.chat`'s business."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = Field(None, max_length=0)
    parsed: Any = Field(None, exclude=True)
    """What OpenAI's SDK read out of the content, and sends along."""

    @model_validator(mode="after")
    def _whole(self) -> Message:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of the {self.role} needs content")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of a tool needs tool_call_id")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only messages of the assistant hold tool_calls")
        return self


class StreamOptions(_Known):
    """How an answer is streamed."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class ChatBody(_Known):
    """The body of a request for an answer.

    What cannot be had is refused, and not ignored. Who the user is and the metadata are not looked
    at: which policy holds is the key's to say, and not the request's.
    """

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
    # Accepted, and not looked at:
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    # Accepted where they ask for nothing:
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    logit_bias: dict[str, Any] | None = Field(None, max_length=0)
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    store: Literal[False] | None = None
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto", "default"] | None = None
    reasoning_effort: Literal["none"] | None = None

    @property
    def stops(self) -> list[str] | None:
        """The strings that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop

    @property
    def json_asked(self) -> bool:
        """Whether the answer is to be a JSON object."""
        form = self.response_format or {}
        if form.get("type") != "json_schema":
            return form.get("type") == "json_object"
        held = form.get("json_schema")
        schema = held.get("schema") if isinstance(held, dict) else None
        return isinstance(schema, dict) and schema.get("type") == "object"

    def settings(self) -> dict[str, Any]:
        """Returns the settings of the call, without those that are not set."""
        found = {name: getattr(self, name) for name in (*_DECODING, *_DEMANDED)}
        if (found.get("response_format") or {}).get("type") == "text":
            del found["response_format"]
        if not self.tools:
            found["tools"] = found["parallel_tool_calls"] = None
            if self.tool_choice in ("auto", "none"):
                found["tool_choice"] = None
        return {name: value for name, value in found.items() if value is not None}

    def said(self) -> list[dict[str, Any]]:
        """Returns the messages as plain JSON."""
        return [{"content": "", **each.model_dump(exclude_none=True)} for each in self.messages]


class ReviewBody(_Known):
    """A human's word on what was escalated."""

    approved: bool
    by: str = Field(min_length=1, max_length=200)


_DECODING: Sequence[str] = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed")
_DEMANDED: Sequence[str] = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
