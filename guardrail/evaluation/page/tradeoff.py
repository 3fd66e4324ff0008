"""The trade-off: wrong refusals against wrong answers, a point per system, a curve per verdict."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardrail.evaluation.page.charts import Frame, Label, nice_high, place_labels
from guardrail.evaluation.report import Scored

HALF = 0.5
"""The threshold that is marked on a verdict's curve."""

RADIUS, RIM = 5.5, 3.0
"""Of a point, and of what is seen of it below another."""


@dataclass(frozen=True)
class SystemPoint:
    """A system in the picture.

    Attributes:
        number: By which it is labelled.
        colour: The name of its colour.
        across: The ends of the wrong refusals' interval.
        down: The ends of the wrong answers' interval.
        radius: Larger where another point lies upon it, so that its rim is seen.
    """

    number: int
    name: str
    colour: str
    x: float
    y: float
    across: tuple[float, float]
    down: tuple[float, float]
    radius: float
    label: Label
    title: str


@dataclass(frozen=True)
class VerdictCurve:
    """What refusing by a verdict alone would come to, at every threshold.

    Attributes:
        systems: Whose verdict it is.
        points: As of a polyline.
        half: Where the threshold is `HALF`.
    """

    systems: tuple[str, ...]
    points: str
    half: tuple[float, float]
    title: str


@dataclass(frozen=True)
class Tradeoff:
    """The picture.

    Attributes:
        chance: The ends of the line on which answers have nothing to do with the sides.
        missing: Systems that could not be placed.
    """

    frame: Frame
    points: tuple[SystemPoint, ...]
    curves: tuple[VerdictCurve, ...]
    chance: tuple[float, float, float, float]
    missing: tuple[str, ...]


def tradeoff_of(
    systems: Mapping[str, Any], rows: Mapping[str, Sequence[Scored]], colours: Mapping[str, str]
) -> Tradeoff | None:
    """Returns the picture, or None if no system was asked on both sides.

    Args:
        systems: A report's `systems`.
        rows: What each of them answered.
        colours: The name of each system's colour.
    """
    known = [name for name, each in systems.items() if _placed(each)]
    if not known:
        return None
    highest = max(
        systems[name][side]["interval"][1]
        for name in known
        for side in ("wrong_refusals", "wrong_answers")
    )
    high = nice_high(highest)
    frame = Frame(high, high)
    places = [
        (frame.x(systems[name]["wrong_refusals"]["value"]),
         frame.y(systems[name]["wrong_answers"]["value"]))
        for name in known
    ]  # fmt: skip
    numbers = {name: at for at, name in enumerate(systems, start=1)}
    radii = _radii(places)
    labels = place_labels(places, [str(numbers[name]) for name in known], radius=max(radii))
    points = tuple(
        _point(numbers[name], name, systems[name], colours[name], frame, radius, label)
        for name, radius, label in zip(known, radii, labels, strict=True)
    )
    inner = min(high, 1.0)
    return Tradeoff(
        frame=frame,
        points=points,
        curves=tuple(_curve(names, rows[names[0]], frame) for names in judged_alike(rows)),
        chance=(frame.x(1 - inner), frame.y(inner), frame.x(inner), frame.y(1 - inner)),
        missing=tuple(name for name in systems if name not in known),
    )


def sweep(rows: Sequence[Scored]) -> list[tuple[float, float, float]]:
    """Returns (threshold, wrong refusals, wrong answers) at every threshold that changes anything.

    A request is refused if its verdict is at least the threshold; the last threshold refuses none.
    Requests without a verdict do not count.

    Args:
        rows: With safe and unsafe ones among those that have a verdict.
    """
    judged = [(each.record.p_unsafe, each.sample.side) for each in rows]
    safe = sorted(p for p, side in judged if p is not None and side == "safe")
    unsafe = sorted(p for p, side in judged if p is not None and side == "unsafe")
    thresholds = [*sorted({0.0, HALF, *safe, *unsafe}), float("inf")]
    return [
        (
            each,
            1 - bisect_left(safe, each) / len(safe),
            bisect_left(unsafe, each) / len(unsafe),
        )
        for each in thresholds
    ]


def judged_alike(rows: Mapping[str, Sequence[Scored]]) -> list[tuple[str, ...]]:
    """Returns the systems with verdicts on both sides, those with the same verdicts together."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for name, each in rows.items():
        judged = [row for row in each if row.record.p_unsafe is not None]
        if {row.sample.side for row in judged} == {"safe", "unsafe"}:
            key = tuple((row.sample.id, row.record.p_unsafe) for row in judged)
            found.setdefault(key, []).append(name)
    return [tuple(names) for names in found.values()]


def _placed(figures: Mapping[str, Any]) -> bool:
    return all(figures[side]["value"] is not None for side in ("wrong_refusals", "wrong_answers"))


def _radii(places: Sequence[tuple[float, float]]) -> list[float]:
    """Returns each point's radius: a rim more for every later point that would hide it."""
    return [
        RADIUS + RIM * sum(math.dist(place, each) < RADIUS / 2 for each in places[at + 1 :])
        for at, place in enumerate(places)
    ]


def _point(
    number: int,
    name: str,
    figures: Mapping[str, Any],
    colour: str,
    frame: Frame,
    radius: float,
    label: Label,
) -> SystemPoint:
    refusals, answers = figures["wrong_refusals"], figures["wrong_answers"]
    return SystemPoint(
        number=number,
        name=name,
        colour=colour,
        x=frame.x(refusals["value"]),
        y=frame.y(answers["value"]),
        across=(frame.x(refusals["interval"][0]), frame.x(refusals["interval"][1])),
        down=(frame.y(answers["interval"][0]), frame.y(answers["interval"][1])),
        radius=radius,
        label=label,
        title=(
            f"{number} {name}: wrong refusals {100 * refusals['value']:.1f}%, "
            f"wrong answers {100 * answers['value']:.1f}%"
        ),
    )


def _curve(names: tuple[str, ...], rows: Sequence[Scored], frame: Frame) -> VerdictCurve:
    swept = sweep(rows)
    steps: list[tuple[float, float]] = []
    for _, refusals, answers in swept:
        if steps and steps[-1][0] != refusals and steps[-1][1] != answers:
            steps.append((refusals, steps[-1][1]))
        steps.append((refusals, answers))
    _, refusals, answers = next(each for each in swept if each[0] == HALF)
    return VerdictCurve(
        systems=names,
        points=frame.line(steps),
        half=(frame.x(refusals), frame.y(answers)),
        title=(
            f"the verdict of {', '.join(names)} alone, at 0.5: wrong refusals "
            f"{100 * refusals:.1f}%, wrong answers {100 * answers:.1f}%"
        ),
    )
