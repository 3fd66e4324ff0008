"""InstructBLIP: bare instructions, one picture, whose features depend on the instruction.

The Q-Former reads the text, so judge and answer see different picture features: no shared prefix.
It counts positions in padded text, so requests run alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import bare, flat_pictures, one_picture


def _render(turns: Sequence[Turn], processor: object) -> str:
    one_picture(turns, "InstructBLIP")
    return bare(turns, processor)


ADAPTER = Adapter(
    shares_prefix=False,
    render=_render,
    process=flat_pictures,
    needs_picture=True,
    batches="alone",
)
