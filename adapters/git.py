"""GIT: bare text, one picture, which the model itself puts in front.

The text ends without `[SEP]`, so that the answer goes on from it, as its authors ask questions.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import bare, flat_pictures, one_picture


def _render(turns: Sequence[Turn], processor: object) -> str:
    one_picture(turns, "GIT")
    return "[CLS]" + bare(turns, processor)


ADAPTER = Adapter(render=_render, process=flat_pictures, batches="pictures")
