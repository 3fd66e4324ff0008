"""GOT-OCR 2: its checkpoints have no chat template, and its processor takes one picture a request.

Source: the prompt that its own processor writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Picture, Turn

from .transcript import flat_pictures, one_picture


def _render(turns: Sequence[Turn], processor: Any) -> str:
    one_picture(turns, "GOT-OCR 2")
    start, end = processor.message_start_token, processor.message_end_token
    shown = processor.img_start_token + processor.image_token + processor.img_end_token + "\n"
    said = []
    if turns[0].role != "system":
        said.append(f"{start}{processor.system_query}{end}")
    for turn in turns:
        role = "user" if turn.role == "tool" else turn.role
        words = "".join(shown if isinstance(part, Picture) else part for part in turn.parts)
        said.append(f"{start}{role}\n{words}{end}")
    return "".join([*said, f"{start}assistant\n"])


ADAPTER = Adapter(render=_render, process=flat_pictures, needs_picture=True)
