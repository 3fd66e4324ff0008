"""Modulation: refusal tokens are boosted or suppressed as the policy decided.

Pure functions of tensors; which tokens count is the refusal index's business, how strongly the
policy's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def modulate_phrases(
    logits: Tensor, token_ids: Sequence[Tensor], deltas: Sequence[float]
) -> Tensor:
    """Returns logits in which each row's refusal tokens are shifted by that row's delta.

    Args:
        logits: (batch, vocabulary), float; not changed.
        token_ids: For each row, the ids that would begin or continue a refusal there.
        deltas: For each row, nats to add: positive boosts refusals, negative suppresses them, 0
            leaves the row as it is.

    Source: SafeCoDe (arXiv 2509.19212), verdict-guided modulation; we deviate by following whole
    phrases and by scaling with confidence (the caller's `deltas`).
    """
    if not any(delta and len(ids) for ids, delta in zip(token_ids, deltas, strict=True)):
        return logits
    shifted = logits.clone()
    for row, (ids, delta) in enumerate(zip(token_ids, deltas, strict=True)):
        shifted[row, ids] += delta
    return shifted


def modulate_paper(
    logits: Tensor, token_ids: Tensor, deltas: Sequence[float], *, top_k: int
) -> Tensor:
    """Returns logits in which refusal tokens among each row's `top_k` are shifted.

    Args:
        logits: (batch, vocabulary), float; not changed.
        token_ids: (count,) the flat set of tokens that refusals are made of.
        deltas: For each row, +lambda to boost, -lambda to suppress, 0 for neither.
        top_k: How many candidates count, >= 1.

    Source: SafeCoDe (arXiv 2509.19212), the published form.
    """
    if not any(deltas) or not len(token_ids):
        return logits
    candidates = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices  # (batch, top_k)
    refusal = torch.isin(candidates, token_ids)  # (batch, top_k)
    shift = torch.tensor(list(deltas), dtype=logits.dtype, device=logits.device)[:, None]
    return logits.scatter_add(-1, candidates, refusal * shift)


def refusal_mass(logits: Tensor, token_ids: Sequence[Tensor]) -> list[float]:
    """Returns, for each row, the probability in [0, 1] that its refusal tokens hold together.

    Args:
        logits: (batch, vocabulary), float.
        token_ids: For each row, the ids that would begin or continue a refusal there.
    """
    probabilities = logits.softmax(-1)
    return [
        min(float(probabilities[row, ids].sum()), 1.0) if len(ids) else 0.0
        for row, ids in enumerate(token_ids)
    ]
