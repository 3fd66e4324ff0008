"""Rows that are steered towards a refusal in the middle of their answers.

From there on their next tokens are guided like those of an answer that begins: tokens that would
begin or continue a refusal are boosted, step by step along the phrases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from guardrail.backends.arrays import Array
from guardrail.steering.modulation import modulate_phrases
from guardrail.steering.plan import Step
from guardrail.steering.refusals import RefusalIndex


@dataclass
class Turning:
    """Turns the answers of one run.

    Attributes:
        index: What refusals are made of.
        boost: Added to them, in logits.
        steps: How many tokens of an answer are guided, from where it is turned.
    """

    index: RefusalIndex
    boost: float
    steps: int
    _said: dict[int, list[int]] = field(default_factory=dict)

    def turn(self, place: int) -> None:
        """Steers a row from its next token on.

        Args:
            place: Among the rows that were kept.
        """
        self._said[place] = []

    def adjust(self, logits: Array, places: Sequence[int]) -> Array:
        """Returns logits in which the refusals of those rows are boosted; see `backends.Adjust`."""
        said = [self._said.get(place) for place in places]
        if all(each is None for each in said):
            return logits
        width = logits.shape[-1]
        nothing = self.index.beginnings(b"").within(0).steerable
        ids = [
            nothing
            if each is None
            else self.index.beginnings(self.index.spell(each)).within(width).steerable
            for each in said
        ]
        return modulate_phrases(logits, ids, [0.0 if e is None else self.boost for e in said])

    def took(self, step: Step) -> None:
        """Follows what the rows have taken."""
        for place, said in [*self._said.items()]:
            token = step.token_ids[place]
            if token is not None:
                said.append(token)
            if token is None or len(said) >= self.steps:
                del self._said[place]
