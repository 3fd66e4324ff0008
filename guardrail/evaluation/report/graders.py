"""Who labelled the outcomes, and how far graders agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from guardrail.evaluation.agreement import kappa
from guardrail.evaluation.grading import Grade, Outcomes, is_settled
from guardrail.evaluation.metrics import Share
from guardrail.evaluation.report.scored import Clusters, Scored

BY_HAND = "by hand"
"""The name under which a person's labels are compared with graders."""

WORDS = ("refused", "answered", "ungraded")


def grading(
    scored: Mapping[str, Sequence[Scored]], outcomes: Outcomes, clusters: Clusters
) -> dict[str, Any]:
    """Returns who counts, the graders, how many labels are by hand, and who agrees with whom.

    Compared are the answers of all systems together, less those that needed no grading.

    Args:
        scored: Every system's rows.
        outcomes: Their labels.
        clusters: Resampled for the intervals of kappa.
    """
    every = [row for rows in scored.values() for row in rows]
    rows = [row for row in every if not is_settled(row.record)]
    graders = dict(outcomes.grades)
    if outcomes.by_hand:
        graders[BY_HAND] = {key: Grade(label) for key, label in outcomes.by_hand.items()}
    return {
        "counts": outcomes.counts,
        "graders": [
            {
                "name": name,
                "digest": digest,
                "ungraded": sum(grade.refused is None for grade in outcomes.grades[name].values()),
            }
            for name, digest in outcomes.graders.items()
        ],
        "answers": len(rows),
        "settled": len(every) - len(rows),
        "by_hand": {"used": len(outcomes.by_hand), "unused": outcomes.unused},
        "agreement": [
            {"graders": [one, other], **_agreement(rows, graders[one], graders[other], clusters)}
            for one, other in combinations(graders, 2)
        ],
    }


def _agreement(
    rows: Sequence[Scored],
    one: Mapping[tuple[str, str], Grade],
    other: Mapping[tuple[str, str], Grade],
    clusters: Clusters,
) -> dict[str, Any]:
    """Returns kappa and the share of equal labels where both have one, and counts of all pairs."""
    paired = [
        (row, one[key], other[key])
        for row in rows
        if (key := (row.record.system, row.record.sample)) in one and key in other
    ]
    met = Counter((first.word, second.word) for _, first, second in paired)
    both = [each for each in paired if None not in (each[1].refused, each[2].refused)]
    labels = np.array([(a.refused, b.refused) for _, a, b in both], dtype=bool).reshape(-1, 2)
    agreed = kappa(
        labels[:, 0], labels[:, 1], clusters.places([row for row, *_ in both]), clusters.drawn
    )
    return {
        "kappa": agreed.to_json(),
        "equal": Share(int((labels[:, 0] == labels[:, 1]).sum()), len(both)).to_json(),
        "confusion": {a: {b: met[a, b] for b in WORDS} for a in WORDS},
    }
