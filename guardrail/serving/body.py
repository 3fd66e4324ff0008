"""What a client asks for, by the names of the chat API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

_MOST_PARTS = 10_000
"""Messages, their parts and calls, and tools of a request, each; each of them costs time."""

_MOST_TEXT = 4_000_000
"""Characters of a request beside its pictures, all together."""

_MOST_STOPS = 64
_LONGEST_STOP = 1000
_MOST_LOGPROBS = 20

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

    @field_validator("arguments")
    @classmethod
    def _readable(cls, written: str) -> str:
        """Whoever reads them further on is not asked to go deeper, or further, than Python goes."""
        try:
            json.loads(written)
        except json.JSONDecodeError:
            pass  # what is no JSON is text
        except (ValueError, RecursionError):
            raise ValueError("the arguments nest too deeply, or hold too long a number") from None
        return written


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

    @property
    def parts(self) -> list[Any]:
        """The blocks of its content."""
        return self.content if isinstance(self.content, list) else [self.content]


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
    messages: list[Message] = Field(min_length=1, max_length=_MOST_PARTS)
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
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=_MOST_LOGPROBS)
    stream: bool = False
    stream_options: StreamOptions | None = None
    # Accepted, and not looked at:
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    # Accepted where they ask for nothing:
    n: Literal[1] | None = None
    logit_bias: dict[str, Any] | None = Field(None, max_length=0)
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    store: Literal[False] | None = None
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto", "default"] | None = None
    reasoning_effort: Literal["none"] | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _beside_logprobs(cls, count: int | None, asked: ValidationInfo) -> int | None:
        if count and not asked.data.get("logprobs"):
            raise ValueError("logprobs has to be true for top_logprobs to be told")
        return count

    @model_validator(mode="after")
    def _bounded(self) -> ChatBody:
        parts = [part for each in self.messages for part in each.parts]
        calls = [call for each in self.messages for call in each.tool_calls or ()]
        tools = self.tools or []
        counts = {"parts": parts, "tool calls": calls, "tools": tools}
        for name, found in counts.items():
            if len(found) > _MOST_PARTS:
                raise ValueError(f"there are {len(found):,} {name}, at most {_MOST_PARTS:,}")
        worded = [part for part in parts if not _is_picture(part)]
        written = [call.function.arguments for call in calls]
        text = _characters([*worded, *written, *tools, self.response_format])
        if text > _MOST_TEXT:
            raise ValueError(f"there are {text:,} characters of text, at most {_MOST_TEXT:,}")
        stops = self.stops or []
        if len(stops) > _MOST_STOPS or any(len(each) > _LONGEST_STOP for each in stops):
            most = f"at most {_MOST_STOPS}, of {_LONGEST_STOP} characters each"
            raise ValueError(f"the strings in stop are too many or too long: {most}")
        return self

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


class Error(BaseModel):
    """Why a request is refused, or failed."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """What is told of an error; what was escalated says its `request_id` and decision, too."""

    error: Error


def _is_picture(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _PICTURES


def _characters(values: list[Any]) -> int:
    """Returns how long the texts in nested values are together, one more for each value."""
    waiting, count = values, 0
    while waiting:
        value = waiting.pop()
        count += 1
        if isinstance(value, str):
            count += len(value)
        elif isinstance(value, dict):
            waiting += (*value, *value.values())
        elif isinstance(value, list):
            waiting += value
    return count


_PICTURES = ("image", "image_url", "input_image", "file")
_DECODING: Sequence[str] = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed"),
    *("logprobs", "top_logprobs"),
)
_DEMANDED: Sequence[str] = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
