"""Fits the judge's `calibration`: scale and bias, where they make its probabilities truer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from guardrail.evaluation.calibration.evidence import Evidence, Split
from guardrail.evaluation.calibration.fit import Fitted, changed
from guardrail.evaluation.calibration.platt import fit_platt
from guardrail.evaluation.metrics import Floats, Interval, percentiles, resampled
from guardrail.evaluation.probabilities import (
    Flags,
    expected_calibration_error,
    log_losses,
    reliability,
    squared_errors,
)
from guardrail.policy import Policy
from guardrail.policy.judge import Calibration

DIGITS = 4
"""Decimals of scale and bias, as they are written."""


@dataclass(frozen=True)
class JudgeFit:
    """Platt scaling of the highest category's probability, which is the one that decides.

    One scale and bias hold for all categories, so the map moves no category past another. It is
    kept only if the log loss on the held-out part falls, with the whole 95% interval of the gain
    above 0; else the policy's own calibration, or none, stays.
    """

    name: str = "judge"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns the change to `judge.calibration`."""
        raw = changed_calibration(policy, None)
        measured = split.held_out.available(policy)
        before = _reliability(policy, measured)
        figures: dict[str, Any] = {"before": before, "after": before, "kept": False}
        found = fit_platt(*believed(raw, split.fitted.available(raw)))
        why = unusable(found)
        if why or found is None:
            return Fitted(figures=figures, notes=(f"the judge is left as it is: {why}",))
        scale, bias = (round(number, DIGITS) for number in found)
        change = {"judge": {"calibration": {"scale": scale, "bias": bias}}}
        fitted = changed(policy, change)
        figures |= {"scale": scale, "bias": bias, "fitted": _reliability(fitted, measured)}
        if not len(measured):
            why = "there is nothing to measure it on"
            return Fitted(figures=figures, notes=(f"the judge is left as it is: {why}",))
        value, (low, high) = log_loss_gain(policy, fitted, measured)
        figures["gain"] = {"value": value, "interval": [low, high]}
        if low <= 0:
            note = (
                f"the judge is left as it is: scale {scale:g} and bias {bias:g} are not shown to "
                f"help on the held-out part (log loss falls by {value:.4f} [{low:.4f}, {high:.4f}])"
            )
            return Fitted(figures=figures, notes=(note,))
        return Fitted(change, figures | {"after": figures["fitted"], "kept": True})


def changed_calibration(policy: Policy, calibration: Calibration | None) -> Policy:
    """Returns the policy with another calibration of its judge."""
    judge = policy.judge.model_copy(update={"calibration": calibration})
    with_it: Policy = policy.model_copy(update={"judge": judge})
    return with_it


def unusable(found: tuple[float, float] | None) -> str:
    """Returns why scale and bias are not to be had, or used; nothing if they are."""
    if found is None:
        return "it takes both labels, and more than one probability, to fit it"
    scale, bias = found
    if scale < 10**-DIGITS:
        return f"its probabilities do not rise with the label (scale {scale:.3g})"
    if scale > 100 or abs(bias) > 100:
        return f"scale {scale:.3g} and bias {bias:.3g} are beyond what a policy accepts, 100"
    return ""


def believed(policy: Policy, evidence: Evidence) -> tuple[Floats, Flags]:
    """Returns the highest probability of each request, (n,), and the labels."""
    p = [each.verdict(policy).p_unsafe for each in evidence]
    return np.array(p, dtype=float), np.array([each.unsafe for each in evidence], dtype=bool)


def _reliability(policy: Policy, evidence: Evidence) -> dict[str, Any]:
    p, unsafe = believed(policy, evidence)
    curve = reliability(p, unsafe)
    return {
        "log_loss": float(log_losses(p, unsafe).mean()) if p.size else None,
        "brier": float(squared_errors(p, unsafe).mean()) if p.size else None,
        "ece": expected_calibration_error(curve),
        "n": int(p.size),
        "curve": [each.to_json() for each in curve],
    }


def log_loss_gain(before: Policy, after: Policy, evidence: Evidence) -> tuple[float, Interval]:
    """Returns by how much the mean log loss falls, with its 95% interval over resampled clusters.

    Args:
        before: The policy as it is.
        after: The policy with the change.
        evidence: Not empty.
    """
    cluster = np.array(evidence.cluster_numbers)
    was, now = (log_losses(*believed(policy, evidence)) for policy in (before, after))
    fell, sizes = np.bincount(cluster, was - now), np.bincount(cluster)
    drawn = resampled(sizes.size, seed=0)
    interval = percentiles((drawn @ fell) / (drawn @ sizes))
    assert interval is not None  # every draw draws something
    return float((was - now).mean()), interval
