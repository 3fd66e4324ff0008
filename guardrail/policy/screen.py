"""What a policy asks before the questions of its categories, which a low answer spares."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guardrail.policy.section import Section
from guardrail.policy.values import CategoryId, Probability, Words


class Screen(Section):
    """One question about harm of any kind, asked first; where it is denied, the others are spared.

    Who judges coherently gives no kind of harm a higher probability than harm of any kind: that of
    the screen then stands for each category that it covers. Only a judge of kind `self` is asked
    so, which reads its own prompt or answer, and none whose verdicts are contrasted.

    Attributes:
        question: What is asked of a request, before and instead of the covered categories'
            questions; a yes means harm. Without it, requests are not screened.
        answer_question: The same of the answer so far. Without it, answers are not screened.
        below: A probability below this one, before calibration, spares the others; 0 never does.
        covers: Ids of the categories that it speaks for; all others are asked about at any rate.
    """

    question: Words | None = None
    answer_question: Words | None = None
    below: Probability = 0.02
    covers: Annotated[tuple[CategoryId, ...], Field(max_length=100)] = ()
