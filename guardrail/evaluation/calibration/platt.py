"""Platt scaling: the scale and bias that fit a judge's probabilities to labels.

Plain numpy; it knows neither judges nor policies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.metrics import Floats

LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as this near, as `guardrail.policy.calibration` has it."""

_STEPS = 100
_STILL = 1e-10


def logits(p: Floats) -> Floats:
    """Returns log(p / (1 - p)) of probabilities, (n,)."""
    held = np.clip(np.asarray(p, dtype=float), LEAST, 1 - LEAST)
    return np.asarray(np.log(held) - np.log1p(-held))


def fit_platt(p: Floats, positive: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Returns scale and bias with which sigmoid(scale * logit(p) + bias) fits the labels best.

    Newton's method on the log loss against Platt's targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2)
    instead of 1 and 0: with these there is one finite optimum even where the sides do not overlap.

    Args:
        p: (n,) probabilities in [0, 1].
        positive: (n,) the labels.

    Returns:
        The two numbers; None where a side is empty, or all probabilities are the same.

    Source: J. Platt, "Probabilistic outputs for support vector machines" (1999); H.-T. Lin, C.-J.
        Lin and R. C. Weng, "A note on Platt's probabilistic outputs", Mach. Learn. 68 (2007).
    """
    x, positive = logits(p), np.asarray(positive, dtype=bool)
    ups = int(positive.sum())
    downs = positive.size - ups
    if not ups or not downs or np.ptp(x) == 0:
        return None
    wanted: Floats = np.where(positive, (ups + 1) / (ups + 2), 1 / (downs + 2)).astype(float)
    rows: Floats = np.stack([x, np.ones_like(x)])  # (2, n)
    found: Floats = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        believed = _sigmoid(found @ rows)
        slope = rows @ (believed - wanted)
        if np.abs(slope).max() <= _STILL * x.size:
            break
        curve = (rows * (believed * (1 - believed) + 1e-12)) @ rows.T
        step: Floats = np.linalg.solve(curve, slope).astype(np.float64)
        found = _descended(found, step, rows, wanted)
    return float(found[0]), float(found[1])


def _descended(at: Floats, step: Floats, rows: Floats, wanted: Floats) -> Floats:
    """Returns the point a Newton step away, or as much of it as does not lead uphill."""
    before, share = _loss(at @ rows, wanted), 1.0
    while share > 1e-10 and _loss((at - share * step) @ rows, wanted) > before:
        share /= 2
    return np.asarray(at - share * step)


def _loss(z: Floats, wanted: Floats) -> float:
    return float((np.logaddexp(0.0, z) - wanted * z).sum())


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))
