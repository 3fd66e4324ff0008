"""Why answers end: `generate()`'s own criteria, and the end of the model's context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from guardrail.backends.results import FinishReason
from guardrail.backends.transformers.branch import Prepared


@dataclass
class Endings:
    """Knows when the rows of a batch have finished.

    Attributes:
        prepared: Prompts and criteria, as `generate()` resolved them.
        lengths: Tokens of each row's prompt, padding not counted.
        context: Tokens that the model's context takes; None where that is not known.
    """

    prepared: Prepared
    lengths: list[int]
    context: int | None

    def of(self, ids: Tensor) -> list[FinishReason | None]:
        """Returns why rows have finished, None where they have not.

        Args:
            ids: All tokens so far, (batch, length) int64.
        """
        last = ids[:, -1].tolist()
        stops = self.prepared.stopping_criteria(ids, None).tolist()
        made = ids.shape[1] - self.prepared.ids.shape[1]
        return [
            self._reason(last[row], ids.shape[1]) if stops[row] else self._at_the_end(row, made)
            for row in range(len(last))
        ]

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        self.lengths = [self.lengths[row] for row in rows]

    def _at_the_end(self, row: int, made: int) -> FinishReason | None:
        full = self.context is not None and self.lengths[row] + made >= self.context
        return "length" if full else None

    def _reason(self, token: int, length: int) -> FinishReason:
        if token in self.prepared.eos_ids.tolist():
            return "stop"
        longest = self.prepared.stopping_criteria.max_length
        return "length" if longest is not None and length >= longest else "stop"
