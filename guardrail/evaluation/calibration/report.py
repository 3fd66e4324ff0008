"""One calibration: what is fitted on one part, and what the other says of it, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guardrail.evaluation.calibration.bounds import lower_bound, upper_bound
from guardrail.evaluation.calibration.evidence import Evidence, split
from guardrail.evaluation.calibration.fit import Calibrated, Fit, fit_all
from guardrail.evaluation.calibration.judge_fit import JudgeFit
from guardrail.evaluation.calibration.measure import measured
from guardrail.evaluation.calibration.targets import Guarantee, Target
from guardrail.evaluation.calibration.threshold_fit import ThresholdFit
from guardrail.policy import Policy


def fits_for(
    targets: Sequence[Target],
    *,
    confidence: float,
    kinds: Mapping[str, str] | None = None,
    guarantee: Guarantee = "rate",
) -> tuple[Fit, ...]:
    """Returns what `guardrail calibrate` fits, in its order.

    Args:
        targets: What the thresholds are to keep.
        confidence: With which, in (0, 1).
        kinds: The policy's category for the data set's categories.
        guarantee: What keeps the targets, of `GUARANTEES`.
    """
    return JudgeFit(), ThresholdFit(tuple(targets), confidence, dict(kinds or {}), guarantee)


def calibrate(
    policy: Policy,
    evidence: Evidence,
    fits: Sequence[Fit],
    *,
    targets: Sequence[Target],
    confidence: float,
    seed: int,
) -> tuple[Calibrated, dict[str, Any]]:
    """Returns the calibrated policy, and the figures as plain JSON.

    Args:
        policy: What is calibrated.
        evidence: Labelled requests with their verdicts.
        fits: From `fits_for`.
        targets: What is promised.
        confidence: In (0, 1).
        seed: Chooses the parts.
    """
    parts = split(evidence, seed=seed)
    calibrated = fit_all(policy, parts, fits)
    before = measured(policy, parts.held_out)
    after = None if calibrated.failures else measured(calibrated.policy, parts.held_out)
    figures: dict[str, Any] = {
        "policy": policy.name,
        "seed": seed,
        "confidence": confidence,
        "split": {
            name: _counts(part, calibrated.policy)
            for name, part in (("fitted", parts.fitted), ("held_out", parts.held_out))
        },
        "merged_clusters": evidence.merged,
        **{name: dict(part.figures) for name, part in calibrated.parts.items()},
        "rules": {"before": _rules(policy), "after": after and _rules(calibrated.policy)},
        "before": before,
        "after": after,
        "promises": after and {each.kind: _kept(each, after, confidence) for each in targets},
        "changes": calibrated.changes if after else None,
        "notes": list(calibrated.notes),
        "failures": list(calibrated.failures),
    }
    return calibrated, figures


def _counts(evidence: Evidence, policy: Policy) -> dict[str, int]:
    return {
        "requests": len(evidence),
        "safe": len(evidence.clusters(unsafe=False)),
        "unsafe": len(evidence.clusters(unsafe=True)),
        "unavailable": len(evidence) - len(evidence.available(policy)),
    }


def _rules(policy: Policy) -> dict[str, Any]:
    """Returns the thresholds in effect: the general ones, and those of each category."""
    base = policy.verdict
    found = {"verdict": {"unsafe_at": base.unsafe_at, "safe_below": base.safe_below}}
    for rule in policy.rules:
        found[rule.id] = {"unsafe_at": rule.unsafe_at, "safe_below": rule.safe_below}
    return found


def _kept(target: Target, after: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    """Returns what the held-out part says of a target: a share, and its one-sided bounds."""
    found = after[target.kind]["clusters"]
    low = lower_bound(found["count"], found["n"], confidence)
    return {
        "rate": target.rate,
        "clusters": found,
        "lower": low,
        "upper": upper_bound(found["count"], found["n"], confidence),
        "broken": low > target.rate,
    }
