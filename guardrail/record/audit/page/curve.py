"""Geometry of the curve of p over an answer: readings in, places out. It knows nothing of HTML.

Places are in the units of the picture's view box, y from the top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guardrail.policy.terms import ACTS, Act
from guardrail.record.audit.record import AuditRecord, Watching
from guardrail.record.decision import WatchRecord

WIDTH, HEIGHT = 400.0, 210.0
"""The view box: at the narrowest page one unit is about a pixel, so that letters stay legible."""

LEFT, RIGHT, TOP, BOTTOM = 40.0, 12.0, 12.0, 24.0

MOST_MARKS = 60
"""Of more readings, those that only cleared the answer have no mark: the line has them."""

GLYPHS: Final[dict[Act, str]] = {
    "release": "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0Z",
    "record": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "hold": "M-3.5-3.5H3.5V3.5H-3.5Z",
    "steer": "M0-5L5 4H-5Z",
    "escalate": "M0-6L6 0L0 6L-6 0Z",
    "end": "M-4.5-4.5H4.5V4.5H-4.5Z",
    "replace": "M-4.5-4.5L4.5 4.5M4.5-4.5L-4.5 4.5",
}
"""The outline of each act's mark, about its middle: told apart without colours, too."""

_HIGHS = (0.05, 0.1, 0.2, 0.25, 1.0)


@dataclass(frozen=True)
class Mark:
    """One reading in the picture."""

    x: float
    y: float
    act: Act
    glyph: str
    title: str


@dataclass(frozen=True)
class Curve:
    """The picture of an answer's readings.

    Attributes:
        lines: Points of a polyline each; what could not be read breaks the line.
        marks: The readings, in their order, those without a p at the upper edge.
        safe_below: Where the lower threshold is; None if the record does not say.
        unsafe_at: Likewise.
        x_ticks: (place, label), in tokens.
        y_ticks: (place, label), in probability.
        acts: How many readings led to each act that there is, with the outline of its mark.
        unread: How many could not be read.
        title: What is to be seen, in one sentence.
    """

    lines: tuple[str, ...]
    marks: tuple[Mark, ...]
    safe_below: float | None
    unsafe_at: float | None
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    acts: tuple[tuple[Act, str, int], ...]
    unread: int
    title: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def curve_of(record: AuditRecord) -> Curve | None:
    """Returns the picture of a record's readings; None if it has none."""
    decision = record.decision
    if decision is None or not decision.watch:
        return None
    readings, watching = decision.watch, record.watching
    scale = _Scale.of(readings, watching, decision.outcome.output_tokens)
    counts = Counter(reading.act for reading in readings)
    marked = [
        reading for reading in readings if len(readings) <= MOST_MARKS or reading.act != "release"
    ]
    return Curve(
        lines=tuple(_lines(readings, scale)),
        marks=tuple(_mark(reading, scale) for reading in marked),
        safe_below=scale.y(watching.safe_below) if watching is not None else None,
        unsafe_at=scale.y(watching.unsafe_at) if watching is not None else None,
        x_ticks=tuple((scale.x(each), str(each)) for each in _tokens(scale.tokens)),
        y_ticks=tuple((scale.y(each), f"{each:g}") for each in _probabilities(scale.high)),
        acts=tuple((act, GLYPHS[act], counts[act]) for act in ACTS if counts[act]),
        unread=sum(read_p(each) is None for each in readings),
        title=_title(readings),
    )


def read_p(reading: WatchRecord) -> float | None:
    """Returns the probability of a reading, if it has one that can be drawn."""
    p = reading.p_unsafe
    return p if p is not None and 0 <= p <= 1 else None


@dataclass(frozen=True)
class _Scale:
    """What the right and the upper edge stand for."""

    tokens: int
    high: float

    @classmethod
    def of(cls, readings: Sequence[WatchRecord], watching: Watching | None, tokens: int) -> _Scale:
        highest = max((read_p(each) or 0.0 for each in readings), default=0.0)
        if watching is not None:
            highest = max(highest, watching.unsafe_at)
        high = next(each for each in _HIGHS if highest < each or each == 1.0)
        return cls(max(tokens, *(each.tokens for each in readings), 1), high)

    def x(self, tokens: int) -> float:
        return round(LEFT + (WIDTH - RIGHT - LEFT) * tokens / self.tokens, 2)

    def y(self, p: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(p / self.high, 1.0), 2)


def _lines(readings: Sequence[WatchRecord], scale: _Scale) -> Iterator[str]:
    points: list[str] = []
    for reading in readings:
        p = read_p(reading)
        if p is not None:
            points.append(f"{scale.x(reading.tokens)},{scale.y(p)}")
        elif points:
            yield " ".join(points)
            points = []
    if points:
        yield " ".join(points)


def _mark(reading: WatchRecord, scale: _Scale) -> Mark:
    p = read_p(reading)
    said = "not read" if p is None else f"p {p:.3f}"
    return Mark(
        x=scale.x(reading.tokens),
        y=scale.y(scale.high if p is None else p),
        act=reading.act,
        glyph=GLYPHS[reading.act],
        title=f"at {reading.tokens} tokens: {said}, {reading.label}: {reading.act}",
    )


def _title(readings: Sequence[WatchRecord]) -> str:
    number = f"{len(readings)} reading{'' if len(readings) == 1 else 's'}"
    known = [(p, reading) for reading in readings if (p := read_p(reading)) is not None]
    said = f"Probability of harm over the answer's tokens, {number}"
    if not known:
        return f"{said}, none of which gave one"
    highest, at = max(known, key=lambda each: each[0])
    return f"{said}, the highest {highest:.3f} at {at.tokens} tokens"


def _tokens(most: int) -> list[int]:
    """Returns round places on the axis of tokens, at most six."""
    steps = (each * 10**power for power in range(10) for each in (1, 2, 5))
    step = next(each for each in steps if most / each <= 5)
    return list(range(0, most + 1, step))


def _probabilities(high: float) -> list[float]:
    parts = 4 if high in (0.2, 1.0) else 5
    return [round(high * at / parts, 6) for at in range(parts + 1)]
