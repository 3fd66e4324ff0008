"""Draws the tokens of guided steps; the server draws those after them."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from guardrail.backends.arrays import softmax
from guardrail.backends.server.seen_tokens import FILLERS, SeenTokens
from guardrail.request.settings import GenerationSettings

Logits = npt.NDArray[np.float32]

_OUT_OF_REACH = -1e9


class Draws:
    """Chooses each row's next token.

    Args:
        rows: How many.
        settings: Greedy without a temperature; with vLLM's `ignore_eos`, nothing ends an answer.
        tokens: Those of the server.
        seed: Seeds every row alike, so that a row draws alike alone and in a batch; None draws from
            fresh randomness.
    """

    def __init__(
        self, rows: int, settings: GenerationSettings, tokens: SeenTokens, *, seed: int | None
    ) -> None:
        self._settings, self._seeded, self._tokens = settings, seed is not None, tokens
        made = random.SystemRandom() if seed is None else None
        self._draws = [made or random.Random(seed) for _ in range(rows)]

    def within(self, logits: Logits) -> Logits:
        """Returns logits in which what is no token, or must not come, is out of reach."""
        found = logits.copy()
        found[:, :FILLERS] = _OUT_OF_REACH
        if self._settings.extra.get("ignore_eos"):
            seen = range(FILLERS, logits.shape[-1])
            ends = [each for each in seen if self._tokens.is_control(each)]
            found[:, ends] = _OUT_OF_REACH
        return found

    def choose(self, logits: Logits) -> list[int]:
        """Returns each row's next token."""
        rows = self.within(logits)
        return [self._chosen(row, draw) for row, draw in zip(rows, self._draws, strict=True)]

    def peek(self, logits: Logits) -> list[int]:
        """Returns what `choose` would, and leaves the randomness as it is."""
        states = [each.getstate() if self._seeded else None for each in self._draws]
        tokens = self.choose(logits)
        for draw, state in zip(self._draws, states, strict=True):
            if state is not None:
                draw.setstate(state)
        return tokens

    def _chosen(self, row: Logits, draw: random.Random) -> int:
        settings = self._settings
        if not settings.temperature:
            return int(row.argmax())
        order = np.argsort(-row, kind="stable")[: settings.top_k or len(row)]
        p = softmax(row[order].astype(np.float64) / settings.temperature)
        if settings.top_p is not None:
            p = np.where(np.cumsum(p) - p < settings.top_p, p, 0.0)
        return int(draw.choices(order.tolist(), weights=p.tolist())[0])
