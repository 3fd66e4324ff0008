"""Does a calibration keep its promise? The whole of it again on many random splits.

What is promised is a bound on the *true* rate. The other part of a split is finite, so that its
own share goes above a target now and then though the true rate keeps it. Two things are counted:
- *broken*: the other part's own lower bound, at the same confidence, is above the target: no chance
  explains it;
- *exceeded*: the share itself is above the target, beside how often that is to be expected by
  chance alone (`bounds.chance_of_exceeding`).
The splits are drawn independently, and all of the same requests: the counts show that the procedure
does as it says, not that other requests are like these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from guardrail.evaluation.calibration.bounds import chance_of_exceeding, lower_bound
from guardrail.evaluation.calibration.evidence import Evidence, split
from guardrail.evaluation.calibration.fit import Fit, fit_all
from guardrail.evaluation.calibration.measure import ruled, wrong_clusters
from guardrail.evaluation.calibration.targets import Target
from guardrail.policy import Policy


def promise(
    policy: Policy,
    evidence: Evidence,
    fits: Sequence[Fit],
    *,
    targets: Sequence[Target],
    confidence: float,
    repeats: int = 100,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Returns how often each target was kept on the other part, as plain JSON.

    Args:
        policy: What is calibrated.
        evidence: What was judged; nothing is judged again.
        fits: The calibration.
        targets: Those of the fits.
        confidence: As in the fits.
        repeats: How many splits, by the seeds 0, 1, 2, ….
        progress: Called after each split.

    Returns:
        `repeats`, `fitted` (in how many splits there was a policy), and by target `kept`, `broken`,
        `exceeded`, `exceeded_by_chance` (expected, of as many), `mean`, `worst` and `shares`.
    """
    shares: dict[str, list[float]] = {each.kind: [] for each in targets}
    broken = dict.fromkeys(shares, 0)
    chance = dict.fromkeys(shares, 0.0)
    fitted = 0
    for seed in range(repeats):
        parts = split(evidence, seed=seed)
        calibrated = fit_all(policy, parts, fits)
        progress(1)
        if calibrated.failures:
            continue
        fitted += 1
        rows = ruled(calibrated.policy, parts.held_out)
        bars = calibrated.parts["thresholds"].figures["targets"]
        for target in targets:
            found, bar = wrong_clusters(rows, target.kind), bars[target.kind]
            shares[target.kind].append(found.value or 0.0)
            broken[target.kind] += lower_bound(found.count, found.n, confidence) > target.rate
            chance[target.kind] += chance_of_exceeding(
                bar["allowed"], bar["n"], found.n, target.rate
            )
    return {
        "repeats": repeats,
        "fitted": fitted,
        "targets": {
            target.kind: {
                "rate": target.rate,
                "kept": fitted - broken[target.kind],
                "broken": broken[target.kind],
                "exceeded": sum(share > target.rate for share in shares[target.kind]),
                "exceeded_by_chance": chance[target.kind],
                "mean": sum(shares[target.kind]) / fitted if fitted else None,
                "worst": max(shares[target.kind], default=None),
                "shares": shares[target.kind],
            }
            for target in targets
        },
    }
