"""A verdict's own pictures: how well its probabilities are kept, and risk against coverage.

They are drawn from what a report says of each system (`reliability`, `risk_coverage`); a system of
which it says nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardrail.evaluation.page.charts import Frame, nice_high

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Bin:
    """Verdicts of similar probability: what was said, and how often it was so.

    Attributes:
        low: The bin's lower end.
        high: Its upper end.
        n: How many verdicts.
        said: Their mean probability.
        unsafe: The share of them that was of the unsafe side.
        interval: Its 95% interval; None if it is not known.
        place: Where the point is.
        whisker: The ends of its interval, on the y axis.
        radius: Grows with n.
    """

    low: float
    high: float
    n: int
    said: float
    unsafe: float
    interval: tuple[float, float] | None
    place: tuple[float, float]
    whisker: tuple[float, float] | None
    radius: float


@dataclass(frozen=True)
class Reliability:
    """What a verdict's probabilities are worth.

    Attributes:
        systems: Whose verdict it is.
        figures: (name, value) of what sums it up.
    """

    systems: tuple[str, ...]
    frame: Frame
    bins: tuple[Bin, ...]
    figures: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class RiskCurve:
    """One system's outcomes, or those of several that are the same.

    Attributes:
        colour: The name of the first one's colour.
        points: As of a polyline.
        rows: (threshold, coverage, risk), thinned out for a table.
    """

    systems: tuple[str, ...]
    colour: str
    points: str
    rows: tuple[tuple[float | None, float, float], ...]


@dataclass(frozen=True)
class RiskCoverage:
    """How often the outcome is wrong if only the surest verdicts count."""

    frame: Frame
    curves: tuple[RiskCurve, ...]


MOST_ROWS = 12


def reliabilities(systems: Figures) -> tuple[Reliability, ...]:
    """Returns a picture per verdict, systems with the same one together."""
    found = []
    for names, each in _alike(systems, "reliability"):
        most = max(part["n"] for part in each)
        frame = Frame()
        summed = ((title, systems[names[0]].get(key)) for title, key in _SUMMED)
        found.append(
            Reliability(
                systems=names,
                frame=frame,
                bins=tuple(_bin(part, frame, most) for part in each if part["n"]),
                figures=tuple(
                    (title, value)
                    for title, given in summed
                    if (value := _value(given)) is not None
                ),
            )
        )
    return tuple(found)


def risk_coverage_of(systems: Figures, colours: Mapping[str, str]) -> RiskCoverage | None:
    """Returns the picture of all systems that have a curve, or None if none has.

    Args:
        systems: A report's `systems`.
        colours: The name of each system's colour.
    """
    known = [
        (names, sorted(_risky(each), key=lambda part: float(part["coverage"])))
        for names, each in _alike(systems, "risk_coverage")
    ]
    if not known:
        return None
    highest = max(part["risk"] for _, parts in known for part in parts)
    frame = Frame(1.0, nice_high(highest))
    curves = tuple(_risk_curve(names, parts, colours[names[0]], frame) for names, parts in known)
    return RiskCoverage(frame, curves)


_SUMMED = (("expected calibration error", "ece"), ("Brier score", "brier"))


def _alike(systems: Figures, key: str) -> list[tuple[tuple[str, ...], Sequence[Figures]]]:
    found: list[tuple[list[str], Sequence[Figures]]] = []
    for name, each in systems.items():
        given = each.get(key)
        if not given or not any(_counted(part) for part in given):
            continue
        same = next((names for names, other in found if other == given), None)
        if same is None:
            found.append(([name], given))
        else:
            same.append(name)
    return [(tuple(names), given) for names, given in found]


def _risky(given: Sequence[Figures]) -> list[Figures]:
    return [part for part in given if part["risk"] is not None]


def _risk_curve(
    names: tuple[str, ...], parts: Sequence[Figures], colour: str, frame: Frame
) -> RiskCurve:
    step = max(1, -(-len(parts) // MOST_ROWS))
    return RiskCurve(
        systems=names,
        colour=colour,
        points=frame.line([(part["coverage"], part["risk"]) for part in parts]),
        rows=tuple(
            (part.get("threshold"), part["coverage"], part["risk"])
            for part in [*parts[:-1:step], *parts[-1:]]
        ),
    )


def _counted(part: Figures) -> bool:
    return bool(part.get("n")) or part.get("risk") is not None


def _bin(part: Figures, frame: Frame, most: int) -> Bin:
    ends = part.get("interval")
    said, unsafe = part["mean_p"], part["share"]
    return Bin(
        low=part["low"],
        high=part["high"],
        n=part["n"],
        said=said,
        unsafe=unsafe,
        interval=(ends[0], ends[1]) if ends else None,
        place=(frame.x(said), frame.y(unsafe)),
        whisker=(frame.y(ends[0]), frame.y(ends[1])) if ends else None,
        radius=round(3 + 6 * (part["n"] / most) ** 0.5, 2),
    )


def _value(given: Any) -> float | None:
    """Returns a figure that may stand alone or with its interval."""
    value = given.get("value") if isinstance(given, Mapping) else given
    return float(value) if isinstance(value, int | float) else None
