"""How far probabilities can be taken at their word: log loss, Brier score, calibration error.

Plain numpy; it knows nothing of judges or data sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.calibration.platt import LEAST
from guardrail.evaluation.metrics import Floats, Interval, Share, percentiles, resampled

BINS = 10

Flags = NDArray[np.bool_]


def log_losses(p: Floats, positive: Flags) -> Floats:
    """Returns each probability's log loss in nats, (n,)."""
    held = np.clip(p, LEAST, 1 - LEAST)
    return np.asarray(-np.where(positive, np.log(held), np.log1p(-held)))


def reliability(p: Floats, positive: Flags) -> dict[str, Any]:
    """Returns `log_loss`, `brier`, `ece`, `n` and the `curve`, as plain JSON.

    Args:
        p: (n,) probabilities in [0, 1].
        positive: (n,) what turned out.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability" (1950); the
        expected calibration error over ten bins of equal width: M. P. Naeini, G. F. Cooper and
        M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (2015).
    """
    p, positive = np.asarray(p, dtype=float), np.asarray(positive, dtype=bool)
    if not p.size:
        return {"log_loss": None, "brier": None, "ece": None, "n": 0, "curve": []}
    curve = _curve(p, positive)
    gaps = [each["n"] * abs(each["believed"] - each["value"]) for each in curve]
    return {
        "log_loss": float(log_losses(p, positive).mean()),
        "brier": float(((p - positive) ** 2).mean()),
        "ece": sum(gaps) / p.size,
        "n": int(p.size),
        "curve": curve,
    }


def _curve(p: Floats, positive: Flags) -> list[dict[str, Any]]:
    """Returns for each bin that holds any what was believed, and what turned out."""
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        {
            "from": at / BINS,
            "to": (at + 1) / BINS,
            "believed": float(p[place == at].mean()),
            **Share(int(positive[place == at].sum()), int((place == at).sum())).to_json(),
        }
        for at in np.unique(place).tolist()
    ]


def gain(before: Floats, after: Floats, cluster: NDArray[np.int64]) -> tuple[float, Interval]:
    """Returns by how much the mean loss fell, with its 95% interval over resampled clusters.

    Args:
        before: (n,) losses, n >= 1.
        after: (n,) losses of the same.
        cluster: (n,) the cluster of each, from 0 on without a gap.
    """
    fell = np.bincount(cluster, before - after)
    sizes = np.bincount(cluster)
    drawn = resampled(sizes.size, seed=0)
    interval = percentiles((drawn @ fell) / (drawn @ sizes))
    assert interval is not None  # every resample draws something
    return float((before - after).mean()), interval
