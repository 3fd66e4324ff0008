"""Fuyu: bare text and one picture, whose tokens its processor writes, and the answer's mark too.

Nothing says which of a batch's patches are whose, so requests run alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import bare, flat_pictures, one_picture

_ANSWER = "<0x04>"
"""Begins an answer; the processor appends it itself where there is a picture."""

_READ = ("input_ids", "attention_mask", "pixel_values")
"""What the model reads of all that the processor returns."""


def _render(turns: Sequence[Turn], processor: object) -> str:
    one_picture(turns, "Fuyu")
    return bare(turns, processor)


def _process(
    processor: Any, texts: Sequence[str], pictures: Sequence[Sequence[Any]], **options: Any
) -> dict[str, Any]:
    if not any(pictures):
        texts = [f"{text}{_ANSWER}" for text in texts]
    encoded = flat_pictures(processor, texts, pictures, return_legacy_image_output=False, **options)
    return {name: encoded[name] for name in _READ if name in encoded}


ADAPTER = Adapter(shares_prefix=False, render=_render, process=_process, batches="alone")
