"""Probabilities of words, read off next-token logits; no answer is compared as a string."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from guardrail.errors import JudgeError

YES = ("Yes", "yes", "YES")
NO = ("No", "no", "NO")

READABLE_MASS = 1e-3
"""Least probability that both labels must hold together for an answer to be readable."""


@dataclass(frozen=True)
class Labels:
    """Token ids by which an answer *yes* or *no* would begin, disjoint and not empty."""

    yes: tuple[int, ...]
    no: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.yes or not self.no or set(self.yes) & set(self.no):
            raise JudgeError("the tokenizer has no single tokens that tell yes from no")


def read_labels(logits: Tensor, labels: Labels) -> list[float]:
    """Returns P(yes) for each row, from the label logits alone.

    P(yes) = sum of exp z over yes tokens / (the same over yes and no tokens).

    Args:
        logits: (rows, vocabulary) float next-token logits after the judge's question.
        labels: The label tokens.

    Raises:
        JudgeError: Logits are not finite, or yes and no together hold less than `READABLE_MASS`.

    Source: SafeCoDe (arXiv 2509.19212) asks for the verdict as text; we read its probability, as
    multiple-choice evaluations do, so that no answer is unparsable.
    """
    log_p = logits.float().log_softmax(-1)
    yes = log_p[:, list(labels.yes)].logsumexp(-1)  # (rows,)
    no = log_p[:, list(labels.no)].logsumexp(-1)
    if not bool(torch.isfinite(yes).all() and torch.isfinite(no).all()):
        raise JudgeError("the judge's logits are not finite")
    mass = float(torch.logaddexp(yes, no).exp().min())
    if mass < READABLE_MASS:
        raise JudgeError(f"the judge answers neither yes nor no (together {mass:.1e})")
    return [float(p) for p in torch.sigmoid(yes - no)]
