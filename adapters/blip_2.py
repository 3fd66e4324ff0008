"""BLIP-2: no chat template, one picture, which its processor puts in front of the text.

Source: Salesforce's model cards, which ask with `Question: … Answer:`.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import flat_pictures, one_picture, question_answer


def _render(turns: Sequence[Turn], processor: object) -> str:
    one_picture(turns, "BLIP-2")
    return question_answer(turns, processor)


ADAPTER = Adapter(shares_prefix=False, render=_render, process=flat_pictures, needs_picture=True)
