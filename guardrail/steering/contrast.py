"""Contrast of the real and the noised branch: what the picture shows counts for more.

Pure functions of arrays. They know nothing of models, policies or refusals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from array_api_compat import array_namespace

from guardrail.backends.arrays import Array, log_softmax, logsumexp, softmax

ContrastForm = Literal["default", "paper", "published-code"]


def contrast_logits(
    real: Array,
    noised: Array,
    *,
    alpha: float,
    form: Literal["default", "paper"] = "default",
    plausibility: float = 0.1,
) -> Array:
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
    xp = array_namespace(real, noised)
    inside = plausible_set(real, plausibility)  # (batch, vocabulary)
    # Both branches as log-probabilities, so that a constant between them is not contrasted.
    contrasted = real + alpha * (log_softmax(real) - log_softmax(noised))
    outside = xp.full_like(real, -math.inf)
    mass_before = logsumexp(xp.where(inside, real, outside))  # (batch, 1)
    mass_after = logsumexp(xp.where(inside, contrasted, outside))
    # INVARIANT: the plausibility set's probability is the same before and after.
    return xp.where(inside, contrasted + (mass_before - mass_after), real)


def contrast_published(real: Array, noised: Array, *, alpha: float, safe: Sequence[bool]) -> Array:
    """Returns `z - alpha * z~`, alpha halved in the rows that were judged safe.

    Args:
        real: Logits z of the real branch, (batch, vocabulary), float.
        noised: Logits z~ of the noised branch, same shape.
        alpha: Strength, >= 0.
        safe: For each row, whether it was judged safe.

    Source: the code released with SafeCoDe (see `published_code`); the paper has one alpha.
    """
    xp = array_namespace(real, noised)
    alphas = [alpha / 2 if each else alpha for each in safe]
    column = xp.asarray(alphas, dtype=real.dtype, device=real.device)[:, None]
    return real - column * noised


def plausible_set(logits: Array, plausibility: float) -> Array:
    """Returns the boolean mask `p(i) >= plausibility * max p`, (batch, vocabulary)."""
    xp = array_namespace(logits)
    if plausibility <= 0:
        return xp.ones_like(logits, dtype=xp.bool)
    threshold = xp.log(xp.asarray(plausibility, dtype=logits.dtype, device=logits.device))
    return logits >= xp.max(logits, axis=-1, keepdims=True) + threshold


def divergence(real: Array, noised: Array) -> Array:
    """Returns the Jensen-Shannon divergence of the two next-token distributions.

    Args:
        real: (batch, vocabulary) logits.
        noised: Same shape.

    Returns:
        (batch,) nats, in [0, ln 2].
    """
    xp = array_namespace(real, noised)
    p, q = softmax(real), softmax(noised)
    middle = (p + q) / 2
    apart = xp.sum(_entropy(middle) - (_entropy(p) + _entropy(q)) / 2, axis=-1)
    return xp.where(apart > 0, apart, xp.zeros_like(apart))


def _entropy(p: Array) -> Array:
    """Returns `-p log p` of each probability, 0 where p is 0."""
    xp = array_namespace(p)
    return -p * xp.log(xp.where(p > 0, p, xp.ones_like(p)))
