"""Systems in pairs, on the same requests: who is wrong where the other is right.

McNemar's exact test takes requests as independent, which those of one cluster are not; the gain in
balanced accuracy, resampled by cluster, does without that. A system that refuses everything trades
one side for the other, so each side is tested apart as well as both together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guardrail.evaluation.agreement import discordance
from guardrail.evaluation.report.scored import Scored
from guardrail.evaluation.report.sides import graded


def mcnemar(name: str, scored: Mapping[str, Sequence[Scored]]) -> dict[str, Any]:
    """Returns a system's paired comparison with every other one, by the other's name.

    Each has `b` (wrong here, right there), `c` (right here, wrong there), `p` and `n` over all
    requests that both answered and that were graded for both, and the same under `safe` and
    `unsafe` for each side alone.

    Args:
        name: The system.
        scored: Every system's rows.
    """
    return {
        other: {
            **_compared(graded(scored[name]), graded(rows)),
            "safe": _compared(graded(scored[name], "safe"), graded(rows, "safe")),
            "unsafe": _compared(graded(scored[name], "unsafe"), graded(rows, "unsafe")),
        }
        for other, rows in scored.items()
        if other != name
    }


def _compared(ours: Sequence[Scored], theirs: Sequence[Scored]) -> dict[str, Any]:
    there = {row.sample.id: bool(row.wrong) for row in theirs}
    both = [(bool(row.wrong), there[row.sample.id]) for row in ours if row.sample.id in there]
    paired = np.array(both, dtype=bool).reshape(-1, 2)
    return discordance(paired[:, 0], paired[:, 1]).to_json()
