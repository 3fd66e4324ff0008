"""Paired labels: whether two systems differ, and how far two graders agree.

The exact test is SciPy's and kappa scikit-learn's ; they are loaded when used. It
knows nothing of what was labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.metrics import Interval, bootstrap

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Discordance:
    """Where two paired systems differ, and McNemar's exact test of it.

    Attributes:
        b: Cases that the first one got wrong and the second right.
        c: Cases that the first one got right and the second wrong.
        n: Cases in all.
    """

    b: int
    c: int
    n: int

    @property
    def p(self) -> float | None:
        """The two-sided exact p value; 1 where they nowhere differ, None of no cases.

        Under the null hypothesis a case on which the two differ goes either way with probability
        one half. Cases are taken as independent, and it is not corrected for how many pairs of
        systems are compared.

        Source: Q. McNemar, Psychometrika 12 (1947); the exact form by the binomial distribution.
        """
        if not self.n:
            return None
        if not self.b + self.c:
            return 1.0
        from scipy.stats import binomtest

        return float(binomtest(self.b, self.b + self.c, 0.5).pvalue)

    def to_json(self) -> dict[str, Any]:
        """Returns b, c, p and n as plain JSON."""
        return {"b": self.b, "c": self.c, "p": self.p, "n": self.n}


def discordance(first_wrong: Flags, second_wrong: Flags) -> Discordance:
    """Returns where two systems differ.

    Args:
        first_wrong: (n,) which cases the first one got wrong.
        second_wrong: (n,) the same cases of the second one.
    """
    first, second = np.asarray(first_wrong, dtype=bool), np.asarray(second_wrong, dtype=bool)
    return Discordance(int((first & ~second).sum()), int((~first & second).sum()), first.size)


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of two graders: 1 in full agreement, 0 as by chance.

    Attributes:
        value: None of nothing, or where both gave one and the same label throughout: what chance
            would do is not known then.
        interval: 95% by bootstrap over clusters; None where no resample defines it.
        n: Cases that both graded.
    """

    value: float | None
    interval: Interval | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """Returns value, interval and n as plain JSON."""
        return {"value": self.value, "interval": self.interval, "n": self.n}


def kappa(
    first: Flags, second: Flags, cluster: NDArray[np.int64], drawn: NDArray[np.int64]
) -> Kappa:
    """Returns how far two graders agree beyond chance.

    Args:
        first: (n,) the first one's labels.
        second: (n,) the second one's, of the same cases.
        cluster: (n,) the place of each case's cluster.
        drawn: How often each resample draws each cluster, from `metrics.resampled`.

    Source: J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20
        (1960).
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    # (clusters, 4): how often each cluster has each pair of labels; a resample adds up clusters.
    tally = np.zeros((drawn.shape[1], 4), dtype=np.int64)
    np.add.at(tally, (cluster, 2 * first + second), 1)
    interval = bootstrap(lambda counts: _kappa_of(counts @ tally), drawn)
    return Kappa(_kappa_of(tally.sum(axis=0)), interval, int(first.size))


def _kappa_of(pairs: NDArray[np.int64]) -> float | None:
    """Returns kappa of how often each pair of labels came: (neither, second, first, both)."""
    if not pairs[1:].any() or not pairs[:3].any():
        return None
    from sklearn.metrics import cohen_kappa_score

    labels = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    return float(cohen_kappa_score(*labels, sample_weight=pairs))
