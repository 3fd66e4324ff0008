"""IDEFICS (the first): its processor takes texts and pictures interleaved in one list.

It fetches any piece of text that looks like an address, so a request could make it load a picture
from anywhere: such a piece is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlparse

from guardrail.backends.transformers.adapter import Adapter
from guardrail.errors import MessageError
from guardrail.request.conversation import Picture, Turn

_HERE = "\ufffc"  # OBJECT REPLACEMENT CHARACTER: where a picture stands in the rendered text
_END = "<end_of_utterance>"


def _render(turns: Sequence[Turn], processor: Any) -> str:
    names = {"system": "System", "user": "User", "tool": "User", "assistant": "Assistant"}
    end = _END if _END in processor.tokenizer.get_added_vocab() else ""
    lines = []
    for turn in turns:
        parts = (
            _HERE if isinstance(part, Picture) else part.replace(_HERE, "") for part in turn.parts
        )
        lines.append(f"{names[turn.role]}:{''.join(parts)}{end}\n")
    return "".join(lines) + "Assistant:"


def _process(
    processor: Any, texts: Sequence[str], pictures: Sequence[Sequence[Any]], **options: Any
) -> Any:
    rows = [_interleaved(text, row) for text, row in zip(texts, pictures, strict=True)]
    return processor(text=rows, **options)


def _interleaved(text: str, pictures: Sequence[Any]) -> list[Any]:
    pieces = text.split(_HERE)
    row: list[Any] = []
    for piece, picture in zip(pieces, [*pictures, None], strict=True):
        address = urlparse(piece.strip())
        if address.scheme and address.netloc:
            raise MessageError(
                "text that begins with an address right after a picture cannot be given to "
                "IDEFICS, which would fetch it: put a word before it"
            )
        row += [piece] if piece else []
        row += [picture] if picture is not None else []
    return row


ADAPTER = Adapter(render=_render, process=_process)
