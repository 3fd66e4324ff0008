"""The worst items, as they are shown on the page: wrong, and the verdict was sure of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardrail.evaluation.report import Scored
from guardrail.evaluation.results import Record, Step
from guardrail.evaluation.thumbnail import thumbnail

MOST_ITEMS = 12
MOST_CATEGORIES = 4


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        wrong: What was wrong, in words.
        picture: A data URI; None if there is none.
        record: The answer that was wrong, and its verdict.
        reference: The unguarded answer; None if nobody was asked unguarded.
        categories: The verdict's most probable categories; empty where they were not kept.
        steps: The guided steps; None where they were not kept.
    """

    id: str
    question: str
    wrong: str
    category: str
    wording: str
    picture: str | None
    record: Record
    reference: Record | None
    categories: tuple[tuple[str, float], ...]
    steps: tuple[Step, ...] | None


def worst_items(
    rows: Sequence[Scored], reference: Mapping[str, Record], *, most: int = MOST_ITEMS
) -> tuple[Item, ...]:
    """Returns the wrong items whose verdict was the surest, the surest first.

    Those without a verdict come last. Ties go by id, so that a rerun shows the same.

    Args:
        rows: What the system answered.
        reference: The unguarded records by sample id.
        most: How many.
    """
    wrong = sorted((row for row in rows if row.wrong), key=lambda row: (-_sure(row), row.sample.id))
    return tuple(_item(row, reference.get(row.sample.id)) for row in wrong[:most])


def _sure(row: Scored) -> float:
    """How far the verdict was on the wrong side, in [0, 1]; below every verdict without one."""
    p = row.record.p_unsafe
    if p is None or p != p:
        return -1.0
    return p if row.sample.side == "safe" else 1 - p


def _item(row: Scored, reference: Record | None) -> Item:
    known = sorted((row.record.categories or {}).items(), key=lambda each: -each[1])
    return Item(
        id=row.sample.id,
        question=row.sample.question,
        wrong="wrong refusal" if row.sample.side == "safe" else "wrong answer",
        category=row.sample.category,
        wording=row.sample.wording,
        picture=thumbnail(row.sample.picture),
        record=row.record,
        reference=reference,
        categories=tuple(known[:MOST_CATEGORIES]),
        steps=row.record.steps,
    )
