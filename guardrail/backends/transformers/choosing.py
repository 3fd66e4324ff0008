"""Choosing tokens as `generate()` would: the caller's processors, then the best or a draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from guardrail.backends.transformers.branch import Prepared
from guardrail.backends.transformers.grammar import enforced


class Chooser:
    """Chooses the next token of every row.

    Args:
        prepared: The caller's settings, as `generate()` resolved them.
        batch: How many rows.
        seed: Seeds sampling per row; fresh randomness without one.
    """

    def __init__(self, prepared: Prepared, batch: int, seed: int | None) -> None:
        self._processors: Any = prepared.logits_processor
        self._sample = bool(prepared.config.do_sample)
        device = prepared.ids.device
        self._generators = []
        for _ in range(batch if self._sample else 0):
            generator = torch.Generator(device=device)
            generator.seed() if seed is None else generator.manual_seed(seed)
            self._generators.append(generator)

    @property
    def tells_rows(self) -> bool:
        """Whether a caller's processor holds something of every row, so that none may leave."""
        return any(
            isinstance(value, Tensor) and value.dim() > 1 and len(value) > 1
            for each in self._processors
            for value in vars(each).values()
        )

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        self._generators = [self._generators[row] for row in rows] if self._sample else []

    def choose(self, ids: Tensor, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """Returns the next tokens, (batch,) int64; draws advance the rows' randomness.

        Args:
            ids: Tokens so far, (batch, length) int64.
            logits: (batch, vocabulary) float32.
            allowed: Same shape, bool; None allows everything.
        """
        scores = enforced(self._processors(ids, logits), logits, allowed)
        if not self._sample:
            return scores.argmax(-1)
        probabilities = scores.softmax(-1)
        draws = [
            torch.multinomial(probabilities[row : row + 1], 1, generator=generator)[0]
            for row, generator in enumerate(self._generators)
        ]
        return torch.cat(draws)

    def peek(self, ids: Tensor, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """Returns what `choose` would return, without advancing any randomness."""
        states = [generator.get_state() for generator in self._generators]
        tokens = self.choose(ids, logits, allowed)
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
        return tokens


def unpadded(ids: Tensor, mask: Tensor | None) -> Tensor:
    """Returns prompts with their own first token in the place of padding.

    A penalty on what was said before is then none on padding, of which a row alone has none.

    Args:
        ids: (rows, length) int64, padded on the left.
        mask: Same shape, 0 where there is padding; other shapes say nothing of it.
    """
    if mask is None or mask.shape != ids.shape:
        return ids
    mask = mask.to(ids.device)
    return torch.where(mask.bool(), ids, ids.gather(1, mask.argmax(1, keepdim=True)))
