"""Limits on an evaluation's figures, such as `wrong_answers.high > 0.05`: what holds, fails.

    [SYSTEM.]FIGURE[.value|.low|.high|.count|.n] OP NUMBER        OP is one of < <= > >=

SYSTEM is one of those compared, `guarded` if none is named; FIGURE is a path into its figures as
`guardrail eval --json` gives them, rounded as they are there (`by_category.medical.wrong_answers`),
or into the report's own (`naming.picture.recall`). `low` and `high` are the ends of the 95%
interval. Nothing is evaluated but one comparison. It knows nothing of models.

INVARIANT: a figure that is missing or null fails the gate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import ge, gt, le, lt
from typing import Any

from guardrail.errors import SettingsError

DEFAULT_SYSTEM = "guarded"

_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge}
_FORM = re.compile(
    r"\s*(?P<path>[^<>=]+?)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<limit>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
)
_ENDS = {"low": 0, "high": 1}
_MOST_NAMED = 8


@dataclass(frozen=True)
class Condition:
    """One limit.

    Attributes:
        text: As it was given.
        path: Where the figure is.
        operator: One of `<`, `<=`, `>`, `>=`.
        limit: What it is compared with.
    """

    text: str
    path: str
    operator: str
    limit: float


@dataclass(frozen=True)
class Finding:
    """A condition, and whether it holds.

    Attributes:
        value: The figure; None if there is none.
        reason: Why there is none.
    """

    condition: Condition
    value: float | None
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the gate fails by it; a missing figure does."""
        if self.value is None:
            return True
        return bool(_OPERATORS[self.condition.operator](self.value, self.condition.limit))

    @property
    def outcome(self) -> str:
        """`failed` or `passed`."""
        return "failed" if self.holds else "passed"

    @property
    def seen(self) -> str:
        """What the figure is, in words."""
        return self.reason if self.value is None else f"it is {self.value:g}"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.condition.text} ({self.seen})"

    def to_json(self) -> dict[str, Any]:
        """Returns condition, holds and value as plain JSON, and why there is no value."""
        found = {"condition": self.condition.text, "holds": self.holds, "value": self.value}
        return {**found, "reason": self.reason} if self.reason else found


def parse_condition(text: str) -> Condition:
    """Returns a condition.

    Raises:
        SettingsError: It is none.
    """
    found = _FORM.fullmatch(text)
    if found is None or not math.isfinite(float(found["limit"])):
        raise SettingsError(
            f"--fail-if {text!r} is no condition: accepted is [SYSTEM.]FIGURE[.value|.low|.high|"
            ".count|.n], one of < <= > >=, and a number, such as 'wrong_answers.high > 0.05'"
        )
    return Condition(text.strip(), found["path"], found["operator"], float(found["limit"]))


def check_conditions(conditions: Sequence[Condition], shape: Mapping[str, Any]) -> None:
    """Checks, before anything is asked, that conditions are about figures that there will be.

    Args:
        conditions: The conditions.
        shape: A report of the same data set and systems, whatever its values.

    Raises:
        SettingsError: A system or a figure is unknown; the nearest are named.
    """
    for condition in conditions:
        figures, rest, where = _scope(condition.path, shape)
        if figures is None:
            raise SettingsError(
                f"--fail-if {condition.text!r} names no system, and {DEFAULT_SYSTEM!r} is not "
                f"compared: accepted are {_listed(shape['systems'])}"
            )
        name, inner = _first(rest, figures)
        if name is not None and name.startswith("by_") and inner:
            where, figures, rest = f"{where}.{name}", figures[name], inner
            name, inner = _first(rest, figures)
        if name is None:
            _raise_unknown(condition, rest, where, figures, shape)


def check_gate(conditions: Sequence[Condition], report: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Returns what each condition comes to on a report's figures, in order."""
    return tuple(_finding(each, report) for each in conditions)


def _finding(condition: Condition, report: Mapping[str, Any]) -> Finding:
    figures, rest, _ = _scope(condition.path, report)
    value = None if figures is None else _figure(rest, figures)
    if value is None:
        return Finding(condition, None, "there is no such figure, and without it the gate fails")
    return Finding(condition, value)


def _scope(path: str, report: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str, str]:
    """Returns the figures that a path starts in, the rest of it, and their name.

    They are a named system's, or else the default system's, or else the report's own; None if
    neither has the path's beginning, and the default system is not there to say what it lacks.
    """
    systems = report["systems"]
    name, rest = _first(path, systems)
    if name is not None and rest:
        return systems[name], rest, name
    own = {key: value for key, value in report.items() if key != "systems"}
    default = systems.get(DEFAULT_SYSTEM)
    if (default is None or _first(path, default)[0] is None) and _first(path, own)[0] is not None:
        return own, path, "the report"
    return default, path, DEFAULT_SYSTEM


def _first(path: str, names: Any) -> tuple[str | None, str]:
    """Returns the longest of `names` that a path begins with, and what follows its dot.

    Names may have dots and blanks in them: categories and policies' paths do.
    """
    if not isinstance(names, Mapping):
        return None, path
    for name in sorted(names, key=lambda each: len(str(each)), reverse=True):
        if path == name:
            return name, ""
        if path.startswith(f"{name}."):
            return name, path[len(name) + 1 :]
    return None, path


def _figure(path: str, found: Any) -> float | None:
    while path:
        name, rest = _first(path, found)
        if name is None:
            if path in _ENDS and isinstance(found, Mapping) and found.get("interval"):
                return _number(found["interval"][_ENDS[path]])
            return None
        found, path = found[name], rest
    return _number(found.get("value") if isinstance(found, Mapping) else found)


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def _raise_unknown(
    condition: Condition, rest: str, where: str, figures: Any, shape: Mapping[str, Any]
) -> None:
    first = rest.partition(".")[0]
    known = [str(name) for name in figures] if isinstance(figures, Mapping) else []
    systems = [str(name) for name in shape["systems"]] if where == DEFAULT_SYSTEM else []
    near = get_close_matches(first, [*known, *systems], n=3, cutoff=0.5)
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    or_systems = f"; systems are {_listed(systems)}" if systems else ""
    raise SettingsError(
        f"--fail-if {condition.text!r} asks for {first!r}, which {where} does not have{hint}: "
        f"accepted are {_listed(_measured(figures))}{or_systems}"
    )


def _measured(figures: Any) -> Iterator[str]:
    """Yields the names that lead to numbers."""
    for name, value in figures.items() if isinstance(figures, Mapping) else ():
        if isinstance(value, Mapping | int | float) and name != "policy":
            yield str(name)


def _listed(names: Any) -> str:
    known = list(names)
    shown = ", ".join(known[:_MOST_NAMED])
    more = len(known) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown or "none"
