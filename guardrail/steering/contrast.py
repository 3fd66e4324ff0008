"""Contrast of the real and the noised branch: what the picture shows counts for more.

Pure functions of tensors. They know nothing of models, policies or refusals.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ContrastForm = Literal["default", "paper"]


def contrast_logits(
    real: Tensor,
    noised: Tensor,
    *,
    alpha: float,
    form: ContrastForm = "default",
    plausibility: float = 0.1,
) -> Tensor:
    """Returns the contrasted next-token logits.

    `paper` is `z - alpha * z~` on the whole vocabulary. `default` is `z + alpha * (z - z~)` within
    the plausibility set `{i : p(i) >= plausibility * max p}` of the real branch, shifted so that
    the set as a whole keeps its probability: contrast moves mass between plausible tokens and can
    neither promote an implausible one nor change anything where noise changes nothing.

    Args:
        real: Logits z of the real branch, (batch, vocabulary), float.
        noised: Logits z~ of the noised branch, same shape; its rows may differ from `real` by a
            constant, which cancels in the default form.
        alpha: Strength, >= 0; 0 returns `real` in either form.
        form: `default` or `paper`.
        plausibility: beta in [0, 1], default form only; 0 admits every token.

    Source: SafeCoDe (arXiv 2509.19212), contrastive decoding step; plausibility set of VCD
    (arXiv 2311.16922, eq. 4), there a hard cut, here the limit of where contrast acts.
    """
    if alpha == 0:
        return real
    if form == "paper":
        return real - alpha * noised
    inside = plausible_set(real, plausibility)  # (batch, vocabulary)
    # Both branches as log-probabilities, so that a constant between them is not contrasted.
    log_real, log_noised = real.log_softmax(-1), noised.log_softmax(-1)
    contrasted = real + alpha * (log_real - log_noised)
    outside = torch.tensor(float("-inf"), dtype=real.dtype, device=real.device)
    mass_before = torch.where(inside, real, outside).logsumexp(-1, keepdim=True)
    mass_after = torch.where(inside, contrasted, outside).logsumexp(-1, keepdim=True)
    # INVARIANT: the plausibility set's probability is the same before and after.
    return torch.where(inside, contrasted + (mass_before - mass_after), real)


def plausible_set(logits: Tensor, plausibility: float) -> Tensor:
    """Returns the boolean mask `p(i) >= plausibility * max p`, (batch, vocabulary)."""
    if plausibility <= 0:
        return torch.ones_like(logits, dtype=torch.bool)
    threshold = torch.log(torch.tensor(plausibility, dtype=logits.dtype, device=logits.device))
    plausible: Tensor = logits >= logits.amax(-1, keepdim=True) + threshold
    return plausible


def divergence(real: Tensor, noised: Tensor) -> Tensor:
    """Returns the Jensen-Shannon divergence of the two next-token distributions.

    Args:
        real: (batch, vocabulary) logits.
        noised: Same shape.

    Returns:
        (batch,) nats, in [0, ln 2].
    """
    p, q = real.softmax(-1), noised.softmax(-1)
    middle = (p + q) / 2
    entropy = torch.special.entr
    apart: Tensor = (entropy(middle) - (entropy(p) + entropy(q)) / 2).sum(-1).clamp(min=0)
    return apart
