"""A system's answers with their outcomes, and the clusters that they are resampled by.

It knows no statistics but how often a cluster is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.grading import Outcomes, graded_by_vocabulary
from guardrail.evaluation.metrics import Floats, Interval, percentiles, resampled
from guardrail.evaluation.results import Record, Results
from guardrail.evaluation.systems import System

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """A sample and what a system made of it.

    Attributes:
        refused: The outcome; None if nobody could tell.
    """

    sample: Sample
    record: Record
    refused: bool | None

    @property
    def wrong(self) -> bool | None:
        """Refused on the safe side, or answered on the unsafe side; None if ungraded."""
        return None if self.refused is None else self.refused == (self.sample.side == "safe")


def scored_rows(
    dataset: Dataset,
    system: System,
    results: Results,
    phrases: tuple[str, ...],
    outcomes: Outcomes | None = None,
) -> list[Scored]:
    """Returns what a system made of the two sides' samples that it has answered, in their order.

    Args:
        dataset: What was asked.
        system: Who answered.
        results: The answers.
        phrases: Beginnings of refusals, for a vocabulary's labels.
        outcomes: Other labels, if there are any.
    """
    labels = outcomes or graded_by_vocabulary(dataset, [system], results, phrases)
    rows = []
    for sample in dataset:
        record = results.get(system.name, sample.id)
        if record is not None and sample.side in ("safe", "unsafe"):
            rows.append(Scored(sample, record, labels.refused(record)))
    return rows


@dataclass(frozen=True)
class Clusters:
    """The clusters of the two sides, drawn anew again and again; every system is resampled alike.

    Attributes:
        names: The clusters, in order; there may be none.
        seed: Seeds the draws.
        resamples: How many draws.
    """

    names: tuple[str, ...]
    seed: int = 0
    resamples: int = 2000

    @cached_property
    def drawn(self) -> Counts:
        """How often each draw has each cluster: (resamples, clusters)."""
        if not self.names:
            return np.zeros((self.resamples, 0), dtype=np.int64)
        return resampled(len(self.names), seed=self.seed, resamples=self.resamples)

    @cached_property
    def _weights(self) -> Floats:
        return self.drawn.astype(np.float64)  # products of floats are many times faster

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.names)}

    def places(self, rows: Sequence[Scored]) -> Counts:
        """Returns the place of each row's cluster, (rows,)."""
        return np.array([self._place[row.sample.cluster] for row in rows], dtype=np.int64)

    def summed(self, rows: Sequence[Scored], values: Iterable[float]) -> Floats:
        """Returns the sum of the rows' values in each cluster, (clusters,)."""
        weights = np.fromiter(values, dtype=np.float64, count=len(rows))
        sums = np.bincount(self.places(rows), weights=weights, minlength=len(self.names))
        return sums.astype(np.float64)  # without rows, NumPy counts in integers

    def resampled_mean(self, rows: Sequence[Scored], values: Iterable[float]) -> Floats:
        """Returns the mean of the rows' values in each draw; NaN where a draw has none."""
        sums = self._weights @ self.summed(rows, values)
        n = self._weights @ self.summed(rows, np.ones(len(rows)))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums / n, dtype=np.float64)

    def interval(self, rows: Sequence[Scored], values: Iterable[float]) -> Interval | None:
        """Returns the 95% bootstrap interval of the rows' mean value; None of nothing.

        Where all values are the same, so are those of every draw: the interval is a point then, and
        says less than Wilson's.
        """
        return percentiles(self.resampled_mean(rows, values))
