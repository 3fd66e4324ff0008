"""LangChain messages to a `Conversation`: every form that LangChain normalises, and nothing lost.

INVARIANT: content that the model cannot take raises; it is never dropped. Left out is what an
earlier answer was reasoned with, which models are not shown again, and names of speakers, for which
templates have no place: neither judge nor model sees them. It does not know what the model makes of
a conversation, nor how pictures are read (`guardrail.request.pictures`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import ValidationError

from guardrail.chat.asides import quoted_asides
from guardrail.errors import MessageError, PictureError
from guardrail.policy.memory import Recollection
from guardrail.record.decision import Decision
from guardrail.record.memory import recollection
from guardrail.request.conversation import Conversation, Part, Role, Turn
from guardrail.request.picture_blocks import block_picture, is_named
from guardrail.request.pictures import PictureLimits

_CHAT_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "tool": "tool",
}
_PICTURE_HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
_REASONING_BLOCKS = ("reasoning", "thinking", "redacted_thinking")
_PICTURE_BLOCKS = ("image", "image_url", "input_image", "file")
_SHELTER = "picture as it is"
_TEXT_BLOCKS = ("text", "text-plain", "input_text", "output_text")
_CALL_BLOCKS = ("tool_call", "tool_call_chunk", "tool_use")


@dataclass(frozen=True)
class _Place:
    """Where a block stands, for error messages."""

    message: int
    block: int
    kind: str

    def __str__(self) -> str:
        return f"message {self.message} ({self.kind}), block {self.block}"


@dataclass(frozen=True)
class _Call:
    """A tool call; messages may hold one both as a block and in `tool_calls`."""

    id: str | None
    content: Mapping[str, Any]

    def same(self, other: _Call) -> bool:
        """Whether both are one call: by their ids, or by their content where an id is missing."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        return self.content == other.content


def to_conversation(
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    limits: PictureLimits | None = None,
    session: str | None = None,
) -> Conversation:
    """Converts messages to turns, loading their pictures.

    Consecutive messages of one speaker become one turn, since most chat templates insist that
    roles alternate; tool messages stay apart, one per call.

    Args:
        messages: LangChain messages; they are not changed.
        tools: JSON-schema dictionaries of the tools that the model may call.
        limits: Which pictures are accepted; `PictureLimits()` without one.
        session: By which earlier requests are remembered, where the policy does so.

    Raises:
        MessageError: A block cannot be passed on (audio, video, a file id, an unknown kind), named
            with its message and block index, counted from 0.
        PictureError: A picture cannot be read or is not allowed, named the same way.
    """
    together: list[list[Turn]] = []
    for index, message in enumerate(messages):
        turn = _turn(message, index, limits)
        if together and _joins(together[-1][-1], turn):
            together[-1].append(turn)
        else:
            together.append([turn])
    turns = [_joined(each) for each in together]
    earlier = tuple(_carried(messages))
    return Conversation(tuple(turns), tuple(tools), session=session, earlier=earlier)


def has_pictures_by_address(messages: Sequence[BaseMessage]) -> bool:
    """Whether any picture is named by a path or an address, rather than held in its message."""
    return any(
        is_named(block)
        for message in messages
        for block in (message.content if isinstance(message.content, list) else ())
        if isinstance(block, dict) and block.get("type") in _PICTURE_BLOCKS
    )


def with_media_types(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Returns the messages with a media type in every picture of base64 that has none.

    LangChain's tracing insists on one, before a model sees anything; the loader looks at the bytes.
    """
    return [
        message.model_copy(update={"content": [_labelled(block) for block in message.content]})
        if isinstance(message.content, list)
        else message
        for message in messages
    ]


def _labelled(block: Any) -> Any:
    held = isinstance(block, dict) and block.get("type") == "image"
    if not held or not isinstance(block.get("base64") or block.get("data"), str):
        return block
    return block if block.get("mime_type") else {**block, "mime_type": "image/*"}


def _carried(messages: Sequence[BaseMessage]) -> Iterator[Recollection]:
    """Yields what the decisions on earlier requests leave behind, as the messages carry them.

    Whoever writes the messages may leave a decision out, so one that cannot be read is left out.
    """
    for message in messages:
        held = message.response_metadata
        several = held.get("guardrails")
        for plain in several if isinstance(several, list) else [held.get("guardrail")]:
            with contextlib.suppress(ValidationError):
                decision = Decision.model_validate(plain)
                if _REQUEST_ID.fullmatch(decision.request_id):
                    yield recollection(decision)


def _joins(before: Turn, turn: Turn) -> bool:
    return before.role == turn.role != "tool" and not before.tool_calls


def _joined(turns: Sequence[Turn]) -> Turn:
    """Returns one turn with what all of them hold; only the last may call tools."""
    if len(turns) == 1:
        return turns[0]
    return replace(turns[-1], parts=tuple(part for turn in turns for part in turn.parts))


def _turn(message: BaseMessage, index: int, limits: PictureLimits | None) -> Turn:
    role = _role(message, index)
    parts: list[Part] = []
    calls: list[_Call] = []
    for place, block in _blocks(message, index):
        if block["type"] == "invalid_tool_call" and role == "assistant":
            continue  # it is in `invalid_tool_calls`, too
        if block["type"] in _CALL_BLOCKS:
            if role != "assistant":
                raise MessageError(f"{place}: only an AI message may hold a {block['type']} block")
            calls += _call_of(block, place)
        elif block["type"] in _REASONING_BLOCKS and role == "assistant":
            continue
        elif (part := _part(block, place, limits)) != "":
            parts.append(part)
        if block["type"] in _TEXT_BLOCKS:
            parts += quoted_asides(block)
    if isinstance(message, AIMessage):
        parts += _refusals(message, index)
        declared = _declared_calls(message, index)
        calls = declared + [call for call in calls if not any(map(call.same, declared))]
        parts += _invalid_calls(message, index)
    ids = tuple(call.id or "" for call in calls)
    if isinstance(message, ToolMessage):
        ids = (message.tool_call_id,)
    return Turn(role, tuple(parts), tuple(call.content for call in calls), ids)


def _role(message: BaseMessage, index: int) -> Role:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ToolMessage):
        return "tool"
    if isinstance(message, ChatMessage) and message.role.lower() in _CHAT_ROLES:
        return _CHAT_ROLES[message.role.lower()]
    kind = f"role {message.role!r}" if isinstance(message, ChatMessage) else f"{message.type!r}"
    raise MessageError(
        f"message {index} of kind {kind} cannot be passed on: "
        "give system, human, AI and tool messages"
    )


def _blocks(message: BaseMessage, index: int) -> Iterator[tuple[_Place, dict[str, Any]]]:
    """Yields the normalised blocks; provider-specific ones are unwrapped to their own type."""
    try:
        blocks = _with_pictures_as_they_are(message).content_blocks
    except Exception as error:  # LangChain's translators take a block's own keys for granted
        raise MessageError(
            f"message {index} ({message.type}) holds a block that LangChain cannot read "
            f"({type(error).__name__}): give every block the keys of its type"
        ) from error
    for number, block in enumerate(blocks):
        inner: dict[str, Any] = dict(block)
        if inner.get("type") == "non_standard" and isinstance(inner.get("value"), dict):
            inner = {"type": "without a type", **inner["value"]}
        if inner.get("type") == _SHELTER:
            inner = dict(inner["block"])
        yield _Place(index, number, message.type), inner


def _in_a_line(value: object) -> str:
    """Returns a value as a message may quote it: short, and without line breaks of its own."""
    text = str(value)[:100]
    return text if text.isprintable() else repr(text)


def _with_pictures_as_they_are(message: BaseMessage) -> BaseMessage:
    """LangChain's translators take pictures as text only, and drop or choke on any other form."""
    if not isinstance(message.content, list):
        return message
    content = [
        {"type": "non_standard", "value": {"type": _SHELTER, "block": block}}
        if isinstance(block, dict) and block.get("type") in _PICTURE_BLOCKS[:3]
        else block
        for block in message.content
    ]
    return message.model_copy(update={"content": content})


def _part(block: dict[str, Any], place: _Place, limits: PictureLimits | None) -> Part:
    kind = block["type"]
    if kind in _TEXT_BLOCKS:
        return _text(block, place)
    if kind == "refusal" and isinstance(block.get("refusal"), str):
        return str(block["refusal"])
    if kind in _PICTURE_BLOCKS[:3] or (kind == "file" and _is_picture(block)):
        try:
            return block_picture(block, limits=limits)
        except (MessageError, PictureError) as error:
            reason = f"{place}: {error.reason}"
            raise type(error)(f"{place}: {error}", reason=reason) from error
    media = f" ({_in_a_line(block['mime_type'])})" if block.get("mime_type") else ""
    raise MessageError(
        f"{place}: content of type {kind!r}{media} cannot be passed on to the model: "
        "give text and pictures only",
        reason=f"{place}: content of this type cannot be passed on: give text and pictures only",
    )


def _text(block: dict[str, Any], place: _Place) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        held = "a file id" if "file_id" in block else "an address" if "url" in block else "no text"
        raise MessageError(
            f"{place}: a {block['type']!r} block holds {held}: give its text in 'text'"
        )
    return text


def _is_picture(block: dict[str, Any]) -> bool:
    """Whether a file block holds a picture: by its media type, or by its first bytes.

    OpenAI's file blocks arrive labelled `application/pdf` whatever they hold.
    """
    if str(block.get("mime_type", "")).lower().startswith("image/"):
        return True
    data = block.get("base64")
    if not isinstance(data, str):
        return False
    try:
        head = base64.b64decode(data[:16], validate=True)
    except (binascii.Error, ValueError):
        return False
    return head.startswith(_PICTURE_HEADS)


def _call_of(block: dict[str, Any], place: _Place) -> list[_Call]:
    if block["type"] == "tool_call_chunk":
        return []  # its parsed form is in `tool_calls`, or counts as invalid there
    arguments = block.get("input" if block["type"] == "tool_use" else "args")
    if not isinstance(block.get("name"), str) or not isinstance(arguments, dict):
        raise MessageError(f"{place}: a {block['type']} block needs a name and its arguments")
    return [_Call(block.get("id"), {"name": block["name"], "arguments": dict(arguments)})]


def _declared_calls(message: AIMessage, index: int) -> list[_Call]:
    if "function_call" in message.additional_kwargs:
        raise MessageError(
            f"message {index} ({message.type}) holds a tool call of the old function_call form: it "
            "cannot be passed on, give tool_calls"
        )
    return [
        _Call(call.get("id"), {"name": call["name"], "arguments": dict(call["args"])})
        for call in message.tool_calls
    ]


def _refusals(message: AIMessage, index: int) -> list[str]:
    """What providers keep beside the content of an answer: why there is none, and its sound."""
    if message.additional_kwargs.get("audio"):
        raise MessageError(
            f"message {index} ({message.type}) holds sound in additional_kwargs: it cannot be "
            "passed on, give its text"
        )
    refusal = message.additional_kwargs.get("refusal")
    return [refusal] if isinstance(refusal, str) and refusal else []


def _invalid_calls(message: AIMessage, index: int) -> list[str]:
    """What the model wrote and was no call: text, as far as a model is concerned."""
    texts = [call.get("args") for call in message.invalid_tool_calls]
    written = [text for text in texts if text]
    if len(written) < len(texts):
        raise MessageError(
            f"message {index} ({message.type}) holds an invalid tool call without its text in "
            "'args': it cannot be passed on"
        )
    return written
