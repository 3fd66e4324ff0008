"""Figures by category, wording and language, and what each system cost: bars with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]

GROUPED = (
    ("by_category", "Categories"),
    ("by_wording", "Wordings"),
    ("by_language", "Languages"),
)
SIDES = (("wrong_refusals", "wrong refusals"), ("wrong_answers", "wrong answers"))


@dataclass(frozen=True)
class Bar:
    """A share with its interval, in percent of the bar's width; None where nothing was counted."""

    system: str
    colour: str
    value: float | None
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Group:
    """One category, wording or language: a bar per system for each of the two sides."""

    name: str
    sides: tuple[tuple[str, tuple[Bar, ...]], ...]


@dataclass(frozen=True)
class Grouping:
    """All groups of a kind."""

    key: str
    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Cost:
    """A system's time over the unguarded one's.

    Attributes:
        times: On all answers; None if it is not known.
        unchanged: On those that stayed the same.
        n: How many answers.
    """

    system: str
    colour: str
    times: float | None
    unchanged: float | None
    n: int


def groupings(
    systems: Figures, shown: Sequence[str], colours: Mapping[str, str]
) -> tuple[Grouping, ...]:
    """Returns the kinds of groups that a report has more than one of.

    Args:
        systems: A report's `systems`.
        shown: Those that get bars.
        colours: The name of each system's colour.
    """
    found = []
    for key, title in GROUPED:
        names = sorted({name for each in shown for name in systems[each].get(key) or {}})
        if len(names) > 1:
            groups = tuple(_group(key, name, systems, shown, colours) for name in names)
            found.append(Grouping(key, title, groups))
    return tuple(found)


def costs(systems: Figures, colours: Mapping[str, str]) -> tuple[Cost, ...]:
    """Returns what each system cost, of those that there is something to measure against."""
    found = []
    for name, each in systems.items():
        overhead = each.get("overhead")
        if overhead is not None:
            found.append(
                Cost(
                    system=name,
                    colour=colours[name],
                    times=overhead["value"],
                    unchanged=overhead["unchanged_answers"],
                    n=overhead["n"],
                )
            )
    return tuple(found)


def _group(
    key: str, name: str, systems: Figures, shown: Sequence[str], colours: Mapping[str, str]
) -> Group:
    sides = tuple(
        (title, tuple(_bar(each, colours[each], systems[each], key, name, side) for each in shown))
        for side, title in SIDES
    )
    return Group(name, sides)


def _bar(system: str, colour: str, figures: Figures, key: str, name: str, side: str) -> Bar:
    share = ((figures.get(key) or {}).get(name) or {}).get(side)
    if share is None or share["value"] is None:
        return Bar(system, colour, None, 0.0, 0.0, 0)
    low, high = share["interval"]
    return Bar(system, colour, 100 * share["value"], 100 * low, 100 * high, share["n"])
