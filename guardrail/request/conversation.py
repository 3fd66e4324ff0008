"""A conversation as the engine sees it: turns of text and pictures, free of any framework."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from guardrail.errors import MessageError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.unicode import lone_surrogate_in

if TYPE_CHECKING:
    from guardrail.policy.memory import Recollection

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded RGB picture.

    Attributes:
        image: The pixels, mode RGB, orientation applied.
        digest: SHA-256 of the encoded bytes it came from (or of the pixels), hexadecimal.
    """

    image: Image.Image
    digest: str

    @cached_property
    def png(self) -> str:
        """The pixels as a PNG file, in base64: encoded once, however often it is sent."""
        file = io.BytesIO()
        self.image.save(file, "PNG", compress_level=1)
        return base64.b64encode(file.getvalue()).decode()


Part = str | Picture


@dataclass(frozen=True)
class Turn:
    """One turn: who speaks, and the text and pictures in their order.

    Attributes:
        tool_calls: For an assistant turn, calls as `{"name": str, "arguments": dict}`.
        call_ids: What its calls are known by; for a tool turn, the call that it answers. Without
            them, tool turns answer calls in their order.
    """

    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    call_ids: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for part in self.parts:
            if not isinstance(part, str | Picture):  # dropped, it would be judged without
                raise MessageError(f"a part of the {self.role} turn is {_told(part)}, {_EXPECTED}")
        texts = [part for part in self.parts if isinstance(part, str)]
        _check_unicode(f"the text of the {self.role} turn", texts)
        _check_unicode(f"a tool call of the {self.role} turn", (self.tool_calls, self.call_ids))

    @property
    def text(self) -> str:
        """The turn's text parts, joined by newlines."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The turn's pictures, in order."""
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True)
class Conversation:
    """Turns in order, what is to follow them, and what went before.

    Attributes:
        turns: Who said what.
        tools: The tools that the model may call, as OpenAI's JSON-schema dictionaries.
        form: What the answer has to be.
        session: By which its earlier requests are remembered, where the policy does so; any text.
        earlier: Decisions on earlier requests that the conversation itself carries, the oldest
            first. They come from the caller: they can tighten a ruling, and nothing else.
    """

    turns: tuple[Turn, ...]
    tools: tuple[Mapping[str, Any], ...] = field(default=())
    form: AnswerForm = field(default=AnswerForm())
    session: str | None = None
    earlier: tuple[Recollection, ...] = ()

    def __post_init__(self) -> None:
        if not any(turn.parts or turn.tool_calls for turn in self.turns):
            raise MessageError("the conversation is empty: give at least one message with content")
        _check_unicode("the session's id", self.session)
        _check_unicode("the answer's form", (self.form.tool, self.form.schema))
        for at, tool in enumerate(self.tools):
            _check_unicode(f"tool {at}", tool)
            function = tool.get("function")
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise MessageError(
                    f"tool {at} is {tool!r}, expected a dictionary with a 'function' and its 'name'"
                )

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures, in the order in which the model sees them."""
        return tuple(picture for turn in self.turns for picture in turn.pictures)

    def answered(self, text: str) -> Conversation:
        """Returns this conversation with an answer, or what there is of one, as its last turn."""
        return replace(self, turns=(*self.turns, Turn("assistant", (text,))))

    def ask(self, question: str) -> Conversation:
        """Returns this conversation with `question` put after the last turn's own content.

        The question joins the last user (or tool) turn, so that role alternation holds in every
        chat template and everything before it stays a common prefix; after an assistant turn it
        becomes a user turn of its own. The answer to it may have any form.
        """
        last = self.turns[-1]
        if last.role in ("assistant", "system"):
            asked = Turn("user", (question,))
            return replace(self, turns=(*self.turns, asked), form=AnswerForm())
        parts = list(last.parts)
        if parts and isinstance(parts[-1], str):
            parts[-1] = f"{parts[-1]}\n\n{question}"
        else:
            parts.append(question)
        asked = replace(last, parts=tuple(parts))
        return replace(self, turns=(*self.turns[:-1], asked), form=AnswerForm())


_EXPECTED = (
    "expected a Picture: guardrail.request.pictures.load_picture makes one of a path, bytes, an "
    "address or a PIL image"
)


def _told(value: Any) -> str:
    """Returns what a value is, short enough for an error."""
    return shorten(repr(value), 80, placeholder=" …")


def _check_unicode(what: str, value: Any) -> None:
    """Refuses what no tokenizer can encode, while it can still be said where it is."""
    if found := lone_surrogate_in(value):
        raise MessageError(f"{what} is not valid Unicode: {found}")


def question(
    text: str,
    pictures: Sequence[Picture] = (),
    *,
    system: str = "",
    session: str | None = None,
) -> Conversation:
    """Returns a one-turn conversation: the pictures, then the question.

    Args:
        text: What the user asks.
        pictures: Any number of pictures, shown before the text.
        system: An optional system message.
        session: As for `Conversation`.

    Raises:
        MessageError: One of the pictures is none: a path is not loaded here.
    """
    if isinstance(pictures, str) or not isinstance(pictures, Iterable):
        raise MessageError(f"pictures is {_told(pictures)}, expected a list of pictures")
    shown = tuple(pictures)
    for at, picture in enumerate(shown):
        if not isinstance(picture, Picture):
            raise MessageError(f"picture {at} is {_told(picture)}, {_EXPECTED}")
    turns = [Turn("system", (system,))] if system else []
    return Conversation((*turns, Turn("user", (*shown, text))), session=session)
