"""Keyed digests of a conversation, and its words and pictures where they are to be kept."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from guardrail.record.keys import AuditKey
from guardrail.request.conversation import Conversation, Picture, Turn

_LONGEST_SIDE = 512
"""Captured pictures are made smaller than this, in pixels."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RequestDigests(_Part):
    """Keyed digests (HMAC-SHA-256, hexadecimal) of what was asked and answered.

    Equal texts have equal digests within one key; without the key none can be guessed back.
    """

    question: str = Field(description="of the last turn's text")
    conversation: str = Field(description="of every turn, tool calls and tools included")
    pictures: list[str] = Field(default_factory=list)
    answer: str | None = None
    turns: int = 0


class CapturedTurn(_Part):
    """One turn in words; pictures as data URIs, made small."""

    role: str
    text: str
    pictures: list[str] = Field(default_factory=list)
    tool_calls: list[Any] = Field(default_factory=list)


class Content(_Part):
    """What was said, word for word. Only where the policy's `capture.content` is on."""

    turns: list[CapturedTurn]
    answer: str | None = None


def digests_of(conversation: Conversation, answer: str | None, key: AuditKey) -> RequestDigests:
    """Returns the digests of a request.

    Args:
        conversation: What was asked.
        answer: What was answered, if that is known.
        key: Makes them.
    """
    turns = [_turn(turn, key) for turn in conversation.turns]
    whole = {"turns": turns, "tools": [_plain(tool) for tool in conversation.tools]}
    return RequestDigests(
        question=_digest(conversation.turns[-1].text, key),
        conversation=_digest(json.dumps(whole, sort_keys=True, default=str), key),
        pictures=[_picture(picture, key) for picture in conversation.pictures],
        answer=_digest(answer, key) if answer is not None else None,
        turns=len(conversation.turns),
    )


def content_of(conversation: Conversation, answer: str | None) -> Content:
    """Returns a request word for word, its pictures made small."""
    turns = [
        CapturedTurn(
            role=turn.role,
            text=turn.text,
            pictures=[_data_uri(picture) for picture in turn.pictures],
            tool_calls=[_plain(call) for call in turn.tool_calls],
        )
        for turn in conversation.turns
    ]
    return Content(turns=turns, answer=answer)


def _turn(turn: Turn, key: AuditKey) -> dict[str, Any]:
    parts = [
        {"picture": _picture(part, key)} if isinstance(part, Picture) else {"text": part}
        for part in turn.parts
    ]
    calls = [_plain(call) for call in turn.tool_calls]
    return {"role": turn.role, "parts": parts, "calls": calls}


def _plain(value: Any) -> Any:
    """`value` as plain JSON; what JSON does not know becomes text."""
    return json.loads(json.dumps(value, default=_as_plain))


def _as_plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else str(value)


def _picture(picture: Picture, key: AuditKey) -> str:
    return key.digest(b"picture\n" + picture.digest.encode())


def _digest(text: str, key: AuditKey) -> str:
    return key.digest(b"text\n" + text.encode("utf-8", "surrogatepass"))


def _data_uri(picture: Picture) -> str:
    small = picture.image.copy()
    small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    encoded = io.BytesIO()
    small.save(encoded, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
