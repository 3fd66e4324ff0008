"""How the fit of steering looks: every arm on the fitted part, and the chosen ones on the other."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from guardrail.cli.tables import Figures, table_of

_COLUMNS = ("fitted part", "balanced", "other part", "balanced")


def steering_tables(report: Figures) -> Iterator[Table]:
    """Yields a table for each part of steering that was fitted."""
    for part in ("contrast", "modulation"):
        figures = report.get(part)
        if figures:
            yield _arms(part, figures)


def _arms(part: str, figures: Figures) -> Table:
    title = f"{part}: wrong refusals / wrong answers, balanced accuracy (%)"
    table = table_of(title, "", *_COLUMNS)
    fitted, held = figures["fitted"], figures["held_out"]
    for name, found in fitted.items():
        table.add_row(name, *_cells(found), *_cells(held.get(name)))
    return table


def _cells(found: Figures | None) -> tuple[str, str]:
    if found is None or found["balanced_accuracy"] is None:
        return "", ""
    wrong = (f"{100 * found[kind]['value']:.1f}" for kind in ("wrong_refusals", "wrong_answers"))
    return " / ".join(wrong), f"{100 * found['balanced_accuracy']:.1f}"
