"""KOSMOS-2: one picture, which its processor puts in front of a grounded question.

Its cached steps count padding as positions, so requests run alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends.transformers.adapter import Adapter
from guardrail.request.conversation import Turn

from .transcript import flat_pictures, one_picture, question_answer


def _render(turns: Sequence[Turn], processor: object) -> str:
    one_picture(turns, "KOSMOS-2")
    return "<grounding> " + question_answer(turns, processor)


ADAPTER = Adapter(
    render=_render,
    process=flat_pictures,
    needs_picture=True,
    batches="alone",
)
