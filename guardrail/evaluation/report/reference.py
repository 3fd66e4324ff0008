"""A system against the reference: neutral answers that stay as they were, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.metrics import Share
from guardrail.evaluation.results import Record, Results

Paired = Sequence[tuple[Record, Record]]


def unchanged(dataset: Dataset, name: str, results: Results, reference: str) -> Any:
    """Returns the share of neutral answers equal to the reference's, token for token, or None."""
    known = _pairs(dataset, name, results, reference, sides=("neutral",))
    if name == reference or not known:
        return None
    return Share(sum(ours.tokens == theirs.tokens for ours, theirs in known), len(known)).to_json()


def overhead(dataset: Dataset, name: str, results: Results, reference: str) -> Any:
    """Returns mean wall time over the reference's, and apart on unchanged answers, or None.

    Where answers stayed the same, the work besides is equal.
    """
    both = _pairs(dataset, name, results, reference)
    if not both or name == reference:
        return None
    same = [(ours, theirs) for ours, theirs in both if ours.tokens == theirs.tokens]
    return {"value": _ratio(both), "unchanged_answers": _ratio(same), "n": len(both)}


def _pairs(
    dataset: Dataset, name: str, results: Results, reference: str, sides: Sequence[str] = ()
) -> Paired:
    return [
        (ours, theirs)
        for each in dataset
        if (not sides or each.side in sides)
        and (ours := results.get(name, each.id)) is not None
        and (theirs := results.get(reference, each.id)) is not None
    ]


def _ratio(pairs: Paired) -> float | None:
    theirs = sum(pair[1].seconds for pair in pairs)
    return sum(pair[0].seconds for pair in pairs) / theirs if theirs else None
