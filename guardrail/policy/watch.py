"""What a policy says of watching an answer while it grows. What a reading leads to: `watching`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guardrail.policy.section import Section
from guardrail.policy.terms import AnswerAction, Release, Thinking
from guardrail.policy.values import Count, Probability


class Watch(Section):
    """How an answer is read while it grows: the answer questions, put after the answer so far.

    A policy without this section does not watch; one that has it reads every 32 tokens.

    Attributes:
        every: Tokens of an answer between two readings; 0 is off.
        unsafe_at: The threshold of the answer questions, the same for every category.
        safe_below: Likewise; between the two, a reading is uncertain.
        on_unsafe: `replace` has the policy's words follow what was cleared, in the rest's place;
            `end` ends it where it was last cleared; `steer` has the next guided steps steer towards
            a refusal; `escalate` has a human decide; `record` only records.
        release: `judged` lets text out up to the last cleared point; `immediate` as it comes.
        thinking: Whether the thinking that a reasoning model's answer begins with goes out as any
            text does, or is `withheld`. It is read in both.
    """

    every: Annotated[Count, Field(ge=0, le=4096)] = 32
    unsafe_at: Probability = 0.60
    safe_below: Probability = 0.40
    on_unsafe: AnswerAction = "replace"
    release: Release = "judged"
    thinking: Thinking = "shown"

    @property
    def is_off(self) -> bool:
        """Whether no answer is ever read while it grows."""
        return self.every == 0

    @property
    def middle(self) -> float:
        """The middle of the band between the thresholds."""
        return (self.safe_below + self.unsafe_at) / 2


NO_WATCH = Watch(every=0)
"""What a policy says that does not speak of watching."""
