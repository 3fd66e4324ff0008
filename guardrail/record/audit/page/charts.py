"""Geometry of the pictures on the pages: numbers in, rectangles out. It knows nothing of HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guardrail.policy.terms import Action
from guardrail.record.audit.stretches import Bucket

ACTIONS: tuple[Action, ...] = ("comply", "plain", "refuse", "block", "escalate")
"""In the order in which they are drawn."""

MOST_SERIES = 6
"""Categories that get a colour of their own; the rest are counted together."""
OTHERS = "others"
NO_CATEGORY = "no category"


@dataclass(frozen=True)
class Rect:
    """A rectangle in percent of the picture, y from the top.

    Attributes:
        series: The colour's number.
    """

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True)
class Chart:
    """Stacked bars over time.

    Attributes:
        series: (name, total), in the order of the colours.
        scale: What the full height stands for.
        table: Per stretch of time: its start and the counts, in the order of the series.
    """

    rects: tuple[Rect, ...]
    series: tuple[tuple[str, int], ...]
    scale: str
    first: str
    last: str
    table: tuple[tuple[str, tuple[int, ...]], ...]


def chart_of(buckets: Sequence[Bucket], *, by: str, share: bool = False) -> Chart:
    """Returns the decisions over time, stacked.

    Args:
        buckets: In order.
        by: `action` or `category`.
        share: Each bar at full height, as shares, instead of counts.
    """
    counted = [each.actions if by == "action" else _named(each.categories) for each in buckets]
    names: list[str] = list(ACTIONS) if by == "action" else _largest(counted)
    rows = [tuple(_count(counts, name, names) for name in names) for counts in counted]
    highest = max((sum(row) for row in rows), default=0)
    rects: list[Rect] = []
    step = 100 / max(len(rows), 1)
    for at, row in enumerate(rows):
        full, top = (sum(row) if share else highest) or 1, 100.0
        for series, count in enumerate(row):
            if not count:
                continue
            height = 100 * count / full
            top -= height
            title = f"{_clock(buckets[at].start)}: {names[series]} {count} of {sum(row)}"
            rects.append(Rect(at * step, top, step * 0.86, height, series, title))
    totals = tuple((name, sum(row[at] for row in rows)) for at, name in enumerate(names))
    return Chart(
        rects=tuple(rects),
        series=totals,
        scale="100%" if share else str(highest),
        first=_clock(buckets[0].start) if buckets else "",
        last=_clock(buckets[-1].start) if buckets else "",
        table=tuple((_clock(buckets[at].start), row) for at, row in enumerate(rows)),
    )


def percent(p: float | None) -> float:
    """Returns a probability as percent of a bar's width, whatever stands in the record."""
    return round(100 * min(max(p, 0.0), 1.0), 2) if p is not None and p == p else 0.0


def _named(categories: dict[str, int]) -> dict[str, int]:
    return {name or NO_CATEGORY: count for name, count in categories.items()}


def _largest(counted: Iterable[dict[str, int]]) -> list[str]:
    totals: Counter[str] = Counter()
    for counts in counted:
        totals.update(counts)
    names = [name for name, _ in totals.most_common()]
    if len(names) <= MOST_SERIES:
        return names
    return [*names[: MOST_SERIES - 1], OTHERS]


def _count(counts: dict[str, int], name: str, names: Sequence[str]) -> int:
    if name == OTHERS and name not in counts:
        return sum(count for each, count in counts.items() if each not in names)
    return counts.get(name, 0)


def _clock(start: str) -> str:
    return start[:16].replace("T", " ")
