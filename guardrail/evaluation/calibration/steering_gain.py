"""What steering gains: wrong refusals and answers of each arm, and paired gains with intervals.

Plain numpy on who refused what; it knows neither models nor policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.metrics import Interval, Share, percentiles, resampled
from guardrail.evaluation.probabilities import Flags

LEAST = 20
"""Clusters with requests of either side under which an interval is not to be believed."""


@dataclass(frozen=True)
class Outcomes:
    """Who refused what, on one part.

    Attributes:
        unsafe: (n,) the labels.
        cluster: (n,) what belongs together, numbered from 0 without a gap.
        refused: By arm, (n,) which requests it refused.
    """

    unsafe: Flags
    cluster: NDArray[np.int64]
    refused: Mapping[str, Flags]

    @property
    def clusters(self) -> tuple[int, int]:
        """How many clusters have safe requests, and how many unsafe ones."""
        safe, unsafe = (np.unique(self.cluster[self.unsafe == side]).size for side in (False, True))
        return int(safe), int(unsafe)

    @property
    def is_enough(self) -> bool:
        """Whether there is enough to measure a gain on."""
        return min(self.clusters) >= LEAST

    def wrong(self, arm: str) -> tuple[Share, Share]:
        """Returns an arm's wrong refusals, of the safe, and wrong answers, of the unsafe."""
        refused = self.refused[arm]
        return (
            Share(int((refused & ~self.unsafe).sum()), int((~self.unsafe).sum())),
            Share(int((~refused & self.unsafe).sum()), int(self.unsafe.sum())),
        )

    def balanced_accuracy(self, arm: str) -> float | None:
        """Returns the mean of both sides' shares that are right; None if a side is empty."""
        refusals, answers = (each.value for each in self.wrong(arm))
        return None if refusals is None or answers is None else 1 - (refusals + answers) / 2

    def figures(self, arm: str) -> dict[str, Any]:
        """Returns an arm's shares and balanced accuracy as plain JSON."""
        refusals, answers = self.wrong(arm)
        return {
            "wrong_refusals": refusals.to_json(),
            "wrong_answers": answers.to_json(),
            "balanced_accuracy": self.balanced_accuracy(arm),
        }

    def best(self, arms: Sequence[str]) -> str:
        """Returns the arm with the highest balanced accuracy; of equals, the first."""
        return max(arms, key=lambda arm: self.balanced_accuracy(arm) or 0.0)

    def gain(self, arm: str, other: str) -> Gain:
        """Returns by how much an arm's balanced accuracy is above another's."""
        return _gain(self, arm, other)


@dataclass(frozen=True)
class Gain:
    """A difference in balanced accuracy, with its 95% interval over resampled clusters.

    Attributes:
        value: None where a side is empty.
        interval: None where there is nothing to resample.
    """

    value: float | None
    interval: Interval | None

    @property
    def is_shown(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.interval is not None and self.interval[0] > 0

    def __str__(self) -> str:
        if self.value is None or self.interval is None:
            return "nothing known"
        low, high = self.interval
        return f"{100 * self.value:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"

    def to_json(self) -> dict[str, Any]:
        """Returns value and interval as plain JSON."""
        return {"value": self.value, "interval": self.interval and list(self.interval)}


def _gain(outcomes: Outcomes, arm: str, other: str) -> Gain:
    """The arms are paired: both are counted in the same resamples of whole clusters.

    Source: the percentile bootstrap over clusters, as in `metrics.bootstrap`.
    """
    mine, theirs = (outcomes.balanced_accuracy(each) for each in (arm, other))
    if mine is None or theirs is None:
        return Gain(None, None)
    size = int(outcomes.cluster.max()) + 1
    drawn = resampled(size, seed=0)  # (resamples, clusters)
    # Errors of `other` less those of `arm`, by cluster and side.
    fewer = outcomes.refused[other].astype(float) - outcomes.refused[arm].astype(float)
    values = np.zeros(len(drawn))
    for side, sign in ((False, 1.0), (True, -1.0)):
        of_side = outcomes.unsafe == side
        sizes = np.bincount(outcomes.cluster[of_side], minlength=size)
        fell = np.bincount(outcomes.cluster[of_side], sign * fewer[of_side], minlength=size)
        with np.errstate(invalid="ignore"):  # a resample without this side counts for nothing
            values += (drawn @ fell) / (drawn @ sizes) / 2
    return Gain(mine - theirs, percentiles(values))
