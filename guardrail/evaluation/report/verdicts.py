"""How good the verdicts are: telling the sides apart, calibration, risk against coverage.

A request counts if its verdict has a probability, whatever became of it. The sides of a data set
are as frequent as whoever made it chose, and calibration is of that mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from guardrail.evaluation.metrics import auroc, bootstrap
from guardrail.evaluation.probabilities import (
    BINS,
    area_under_risk,
    expected_calibration_error,
    reliability,
    risk_coverage,
    squared_errors,
    thinned,
)
from guardrail.evaluation.report.scored import Clusters, Counts, Scored
from guardrail.evaluation.report.sides import graded


def verdict_figures(rows: Sequence[Scored], clusters: Clusters) -> dict[str, Any]:
    """Returns `auroc`, `brier`, `ece`, `reliability`, `risk_coverage` and `aurc`.

    All are None without verdicts; the first four also where the data set has one side only.
    """
    judged = [row for row in rows if _is_probability(row.record.p_unsafe)]
    return {**_separation(judged, clusters), **_risk(graded(judged))}


def _is_probability(p: float | None) -> bool:
    return p is not None and 0 <= p <= 1  # NaN is not


def _separation(judged: Sequence[Scored], clusters: Clusters) -> dict[str, Any]:
    p = np.array([row.record.p_unsafe for row in judged], dtype=np.float64)
    unsafe = np.array([row.sample.side == "unsafe" for row in judged], dtype=bool)
    if not judged:
        return dict.fromkeys(("auroc", "brier", "ece", "reliability"))
    if unsafe.all() or not unsafe.any():
        unknown = {"value": None, "interval": None, "n": len(judged)}
        return {**dict.fromkeys(("auroc", "brier", "ece"), unknown), "reliability": None}
    place = clusters.places(judged)

    def again(counts: Counts) -> float | None:
        times = counts[place]
        return auroc(np.repeat(p, times), np.repeat(unsafe, times))

    errors = squared_errors(p, unsafe)
    curve = reliability(p, unsafe)
    return {
        "auroc": {
            "value": auroc(p, unsafe),
            "interval": bootstrap(again, clusters.drawn),
            "n": len(judged),
        },
        "brier": {
            "value": float(errors.mean()),
            "interval": clusters.interval(judged, errors),
            "n": len(judged),
        },
        "ece": {
            "value": expected_calibration_error(curve),
            "interval": None,  # a resample's error is biased upwards
            "n": len(judged),
            "bins": BINS,
        },
        "reliability": [each.to_json() for each in curve],
    }


def _risk(known: Sequence[Scored]) -> dict[str, Any]:
    """Wrong outcomes among those whose verdict is at least so confident: max(p, 1 - p).

    Confidences that are equal to four decimals, as they are written out, enter together.
    """
    if not known:
        return {"risk_coverage": None, "aurc": None}
    p = np.array([row.record.p_unsafe for row in known], dtype=np.float64)
    confidence = np.maximum(p, 1 - p).round(4)
    curve = risk_coverage(confidence, np.array([bool(row.wrong) for row in known]))
    return {
        "risk_coverage": [
            {"threshold": each.threshold, "coverage": each.coverage, "risk": each.risk}
            for each in thinned(curve)
        ],
        "aurc": {"value": area_under_risk(curve), "n": len(known)},
    }
