"""The same request with other pictures in the place of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from guardrail.request.conversation import Conversation, Part, Picture

Change = Callable[[Image.Image], Image.Image]
"""Makes another RGB picture of one; nothing is changed in place."""


_GREY = (127, 127, 127)


def greyed(image: Image.Image) -> Image.Image:
    """Returns a grey picture of the same size."""
    return Image.new("RGB", image.size, _GREY)


def with_other_pictures(conversation: Conversation, change: Change, *, named: str) -> Conversation:
    """Returns a conversation that shows what `change` makes of each picture.

    Args:
        conversation: Any; one without pictures comes back as it is.
        change: What is done to each.
        named: By which their digests are told from those of the pictures themselves.
    """

    def shown(part: Part) -> Part:
        if isinstance(part, str):
            return part
        return Picture(change(part.image), f"{named} {part.digest}")

    turns = tuple(replace(t, parts=tuple(map(shown, t.parts))) for t in conversation.turns)
    return replace(conversation, turns=turns)
