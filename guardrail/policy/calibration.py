"""Calibration of a judge's probabilities: Platt scaling, and its inverse for reading records.

Knows nothing of tensors, so that auditing can use it too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as this near."""


def calibrate(p: float, *, scale: float, bias: float) -> float:
    """Returns sigmoid(scale * logit(p) + bias).

    Args:
        p: A probability in [0, 1].
        scale: Above 0.
        bias: In nats.

    Source: Platt, Probabilistic outputs for support vector machines (1999).
    """
    return _sigmoid(scale * _logit(p) + bias)


def calibrated(categories: Mapping[str, float], *, scale: float, bias: float) -> dict[str, float]:
    """Returns every category's probability calibrated; what is no probability stays as it is."""
    return {
        name: calibrate(p, scale=scale, bias=bias) if 0 <= p <= 1 else p
        for name, p in categories.items()
    }


def uncalibrate(p: float, *, scale: float, bias: float) -> float:
    """Returns the probability that `calibrate` made `p` of; arguments as there."""
    return _sigmoid((_logit(p) - bias) / scale)


def _logit(p: float) -> float:
    p = min(max(p, _LEAST), 1 - _LEAST)
    return math.log(p / (1 - p))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
