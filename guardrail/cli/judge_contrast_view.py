"""How the fit of the judge's contrast looks: who was compared, on either part."""

from __future__ import annotations

from rich.table import Table

from guardrail.cli.tables import Figures, table_of

_COLUMNS = ("scale", "bias", "log loss", "AUROC", "balanced")


def judge_contrast_table(figures: Figures) -> Table:
    """Returns the table; balanced accuracy in %."""
    table = table_of("the judge, contrasted with grey pictures", "", *_COLUMNS)
    for part, title in (("fitted", "fitted part"), ("held_out", "other part")):
        for name, found in figures.get(part, {}).items():
            table.add_row(f"{title}, {name}", *_cells(found))
        auroc = figures["difference_auroc"][part]
        table.add_row(f"{title}, the difference alone", "", "", "", _number(auroc), "")
    return table


def _cells(found: Figures) -> tuple[str, ...]:
    balanced = found["balanced_accuracy"]
    return (
        f"{found['scale']:g}",
        f"{found['bias']:g}",
        _number(found["log_loss"]),
        _number(found["auroc"]),
        "-" if balanced is None else f"{100 * balanced:.1f}",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
