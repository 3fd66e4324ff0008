"""What a run says of itself whose model computes in this process: everything is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.policy.terms import Counterfactual


class AtHand:
    """A run of which every logit can be had, and every step be steered."""

    _live: list[int]

    @property
    def guides(self) -> bool:
        """True: its logits are at hand."""
        return True

    @property
    def degraded(self) -> Sequence[str]:
        """Nothing."""
        return ()

    @property
    def steers_on(self) -> bool:
        """True: logits are at hand at every step."""
        return True

    @property
    def coverage(self) -> Sequence[float | None]:
        """None: every candidate is at hand."""
        return [None] * len(self._live)

    def reveal(self, tokens: Sequence[Sequence[int]]) -> None:
        """Does nothing: every candidate is at hand."""

    def knows(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[bool]:
        """True: a few tokens ahead cost little."""
        return [True] * len(rows)

    def foresee(self, kind: Counterfactual, *, noise_std: float) -> None:
        """Does nothing: here the noised branch waits for no one."""
