"""How `guardrail eval` looks: one row per system, every share with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible

Figures = Mapping[str, Any]


WIDE = 105
"""Narrower terminals get each interval below its figure instead of beside it."""


def show(console: Console, out: Figures) -> None:
    """Prints the figures of a report, as `guardrail eval --json` gives them."""
    counts, systems = out["counts"], out["systems"]
    between = " " if console.width >= WIDE else "\n"
    console.print()
    console.print(
        Text(
            f"{out['dataset']}: {out['n']} cases with {counts['safe']} safe and "
            f"{counts['unsafe']} unsafe requests; {counts['neutral']} neutral requests",
            style="bold",
        )
    )
    console.print(Text(f"model {visible(out['model'])}, seed {out['seed']}", style="dim"))
    console.print(_main(systems, between))
    right = {name: each["verdict_right"] for name, each in systems.items()}
    console.print(_sides("where the verdict is right (%)", right, between))
    for kind in sorted({kind for each in systems.values() for kind in each["by_wording"]}):
        sides = {name: each["by_wording"].get(kind, {}) for name, each in systems.items()}
        console.print(_sides(f"{kind} wordings alone (%)", sides, between))
    console.print(_other(systems, between))
    if out["naming"]:
        console.print(_naming(out["naming"], between))
    console.print(Text("in brackets: 95% intervals", style="dim"))


def _table(title: str, *columns: str) -> Table:
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


def _main(systems: Figures, between: str) -> Table:
    table = _table(
        "what goes wrong (%)",
        "system",
        "wrong refusals",
        "wrong answers",
        "balanced accuracy",
        "gain",
    )
    for name, each in systems.items():
        table.add_row(
            Text(visible(name)),
            _percent(each["wrong_refusals"], between),
            _percent(each["wrong_answers"], between),
            _percent(each["balanced_accuracy"], between),
            _percent(each["gain"], between, signed=True),
        )
    return table


def _sides(title: str, systems: Figures, between: str) -> Table:
    table = _table(title, "system", "wrong refusals", "wrong answers")
    for name, sides in systems.items():
        table.add_row(
            Text(visible(name)),
            _percent(sides.get("wrong_refusals"), between),
            _percent(sides.get("wrong_answers"), between),
        )
    return table


def _other(systems: Figures, between: str) -> Table:
    table = _table(
        "verdict, neutral answers, cost",
        "system",
        "AUROC",
        "neutral unchanged",
        "late refusals",
        "time",
    )
    for name, each in systems.items():
        table.add_row(
            Text(visible(name)),
            _plain(each["auroc"], between),
            _percent(each["neutral_unchanged"], between),
            _percent(each["late_refusals"], between),
            _times(each["overhead"]),
        )
    return table


def _naming(naming: Figures, between: str) -> Table:
    table = _table("things named, unguarded (%)", "picture", "recall", "precision", "exact")
    for name, title in (("picture", "as shown"), ("blank", "blank")):
        each = naming[name] or {}
        cells = (_percent(each.get(what), between) for what in ("recall", "precision", "exact"))
        table.add_row(title, *cells)
    table.add_row("another (chance)", _percent(naming["chance"], between), "-", "-")
    return table


def _percent(share: Figures | None, between: str, *, signed: bool = False) -> str:
    if share is None or share["value"] is None:
        return "-"
    form = "+.1f" if signed else ".1f"
    return f"{100 * share['value']:{form}}{_interval(share['interval'], between, form, scale=100)}"


def _plain(figure: Figures | None, between: str) -> str:
    if figure is None or figure["value"] is None:
        return "-"
    return f"{figure['value']:.3f}{_interval(figure['interval'], between, '.3f', scale=1)}"


def _interval(interval: Any, between: str, form: str, *, scale: float) -> str:
    if interval is None:
        return ""
    low, high = interval
    return f"{between}[{scale * low:{form}}, {scale * high:{form}}]"


def _times(overhead: Figures | None) -> str:
    """The ratio on answers that stayed the same: on the others the lengths differ, too."""
    if overhead is None:
        return "-"
    ratio = overhead["unchanged_answers"] or overhead["value"]
    return "-" if ratio is None else f"{ratio:.2f}x"
