"""The tables and figures that evaluations and calibrations are shown in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible

Figures = Mapping[str, Any]
Column = tuple[str, Callable[[Any], str]]


def table_of(title: str, *columns: str) -> Table:
    """Returns an empty table, its first column to the left and the others to the right."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left", no_wrap=not at)
    return table


def by_system(title: str, systems: Figures, *columns: Column) -> Table:
    """Returns a table with a row for each system.

    Args:
        title: Above it.
        systems: What is shown of each, by name.
        *columns: Each one's name, and what stands in it for a system.
    """
    table = table_of(title, "system", *(name for name, _ in columns))
    for system, found in systems.items():
        table.add_row(Text(visible(system)), *(cell(found) for _, cell in columns))
    return table


def share_of(title: str, key: str, between: str) -> Column:
    """Returns the column of a share, by its key among a system's figures; see `percent`."""
    return title, lambda found: percent(found.get(key), between)


def percent(share: Figures | None, between: str = " ", *, signed: bool = False) -> str:
    """Returns a share in per cent with its interval, `-` if unknown.

    Args:
        share: With `value` and `interval`.
        between: What stands between the two: a space or a line break.
        signed: Whether a plus is written.
    """
    if share is None or share["value"] is None:
        return "-"
    form = "+.1f" if signed else ".1f"
    return f"{100 * share['value']:{form}}{_interval(share['interval'], between, form, scale=100)}"


def plain(figure: Figures | None, between: str = " ") -> str:
    """Returns a figure with its interval, `-` if unknown; arguments as for `percent`."""
    if figure is None or figure["value"] is None:
        return "-"
    return f"{figure['value']:.3f}{_interval(figure['interval'], between, '.3f', scale=1)}"


def _interval(interval: Any, between: str, form: str, *, scale: float) -> str:
    if interval is None:
        return ""
    low, high = interval
    return f"{between}[{scale * low:{form}}, {scale * high:{form}}]"
