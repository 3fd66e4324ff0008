"""PaliGemma: a prompt that attends to itself in both directions, so no prefix of it can be shared.

Prompts are bare text after the pictures' placeholders; the processor adds the line break.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import bare


def _render(turns: Sequence[Turn], processor: object) -> str:
    count = sum(len(turn.pictures) for turn in turns)
    return "<image>" * count + bare(turns, processor)


ADAPTER = Adapter(shares_prefix=False, render=_render, needs_picture=True)
