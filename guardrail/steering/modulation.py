"""Modulation: refusal tokens are boosted or suppressed as the policy decided.

Pure functions of arrays; which tokens count is the refusal index's business, how strongly the
policy's.
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace

from guardrail.backends.arrays import Array, largest
from guardrail.steering.refusals import TokenIds


def modulate_phrases(
    logits: Array, token_ids: Sequence[TokenIds], deltas: Sequence[float]
) -> Array:
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
    shifted = array_namespace(logits).asarray(logits, copy=True)
    for row, (ids, delta) in enumerate(zip(token_ids, deltas, strict=True)):
        shifted[row, ids] += delta
    return shifted


def modulate_paper(
    logits: Array, token_ids: TokenIds, deltas: Sequence[float], *, top_k: int
) -> Array:
    """Returns logits in which refusal tokens among each row's `top_k` are shifted.

    Args:
        logits: (batch, vocabulary), float; not changed.
        token_ids: (count,) the flat set of tokens that refusals are made of.
        deltas: For each row, +lambda to boost, -lambda to suppress, 0 for neither.
        top_k: How many candidates count, >= 1.

    Source: SafeCoDe (arXiv 2509.19212), the paper's equation. Which tokens refusals are made of,
    the paper leaves open; the released code, which does otherwise, is `modulate_published`.
    """
    if not any(deltas) or not len(token_ids):
        return logits
    xp = array_namespace(logits)
    candidates = largest(logits, top_k)  # (batch, top_k)
    refusal = xp.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    refusal[token_ids] = 1.0
    shift = xp.asarray(list(deltas), dtype=logits.dtype, device=logits.device)[:, None]
    rows = xp.arange(logits.shape[0], device=logits.device)[:, None]
    shifted = xp.asarray(logits, copy=True)
    shifted[rows, candidates] += refusal[candidates] * shift
    return shifted


def modulate_published(logits: Array, token_ids: TokenIds, deltas: Sequence[float]) -> Array:
    """Returns logits in which refusal tokens are shifted, however improbable they are.

    Args:
        logits: (batch, vocabulary), float; not changed.
        token_ids: (count,) the sub-tokens of all refusal phrases.
        deltas: For each row, nats to add: -ln 2 halves the tokens' probabilities, before they are
            brought to sum to one again.

    Source: the code released with SafeCoDe (see `published_code`), which multiplies probabilities
    by 1 - lambda / 2 where the verdict is safe, with lambda 1.
    """
    return modulate_phrases(logits, [token_ids] * len(deltas), deltas)
