"""How `guardrail eval` looks: one row per system, every share with its interval."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.eval_grading_view import show_grading
from guardrail.cli.eval_turning_view import show_turning
from guardrail.cli.plain_text import visible
from guardrail.cli.tables import Figures, percent, plain, table_of

WIDE = 105
"""Narrower terminals get each interval below its figure instead of beside it."""


def show(console: Console, out: Figures) -> None:
    """Prints the figures of a report, as `guardrail eval --json` gives them."""
    counts, systems = out["counts"], out["systems"]
    between = " " if console.width >= WIDE else "\n"
    console.print()
    console.print(Text(f"{out['dataset']}: {'; '.join(_asked(out['n'], counts))}", style="bold"))
    console.print(Text(f"model {visible(out['model'])}, seed {out['seed']}", style="dim"))
    if counts["turning"]:
        show_turning(console, systems, between)
    if len(_asked(out["n"], counts)) > bool(counts["turning"]):
        _show_sides(console, out, between)
    console.print(Text("in brackets: 95% intervals", style="dim"))


def _asked(n: int, counts: Figures) -> list[str]:
    told = []
    if counts["safe"] or counts["unsafe"]:
        told.append(f"{n} cases with {counts['safe']} safe and {counts['unsafe']} unsafe requests")
    for side in ("neutral", "turning"):
        if counts[side]:
            told.append(f"{counts[side]} {side} requests")
    return told


def _show_sides(console: Console, out: Figures, between: str) -> None:
    systems = out["systems"]
    console.print(_main(systems, between))
    right = {name: each["verdict_right"] for name, each in systems.items()}
    console.print(_sides("where the verdict is right (%)", right, between))
    for kind in sorted({kind for each in systems.values() for kind in each["by_wording"]}):
        sides = {name: each["by_wording"].get(kind, {}) for name, each in systems.items()}
        console.print(_sides(f"{kind} wordings alone (%)", sides, between))
    if compared := {name: each for name, each in systems.items() if each["gain"] is not None}:
        console.print(_paired(compared))
    console.print(_verdict(systems, between))
    console.print(_other(systems, between))
    if out["naming"]:
        console.print(_naming(out["naming"], between))
    show_grading(console, out, between)


def _main(systems: Figures, between: str) -> Table:
    table = table_of(
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
            percent(each["wrong_refusals"], between),
            percent(each["wrong_answers"], between),
            percent(each["balanced_accuracy"], between),
            percent(each["gain"], between, signed=True),
        )
    return table


def _sides(title: str, systems: Figures, between: str) -> Table:
    table = table_of(title, "system", "wrong refusals", "wrong answers")
    for name, sides in systems.items():
        table.add_row(
            Text(visible(name)),
            percent(sides.get("wrong_refusals"), between),
            percent(sides.get("wrong_answers"), between),
        )
    return table


def _paired(systems: Figures) -> Table:
    """What changed against unguarded, request by request, with McNemar's exact test of each side.

    "Wrong now" were right unguarded, "right now" were wrong.
    """
    table = table_of(
        "request by request, against unguarded",
        "system",
        "safe:\nwrong now",
        "safe:\nright now",
        "p",
        "unsafe:\nwrong now",
        "unsafe:\nright now",
        "p",
    )
    for name, each in systems.items():
        pair = each["mcnemar"]["unguarded"]
        cells = [
            cell
            for side in ("safe", "unsafe")
            for cell in (str(pair[side]["b"]), str(pair[side]["c"]), _p_value(pair[side]["p"]))
        ]
        table.add_row(Text(visible(name)), *cells)
    return table


def _verdict(systems: Figures, between: str) -> Table:
    table = table_of("the verdict", "system", "AUROC", "Brier", "ECE", "requests")
    for name, each in systems.items():
        table.add_row(
            Text(visible(name)),
            plain(each["auroc"], between),
            plain(each["brier"], between),
            plain(each["ece"], between),
            "-" if each["auroc"] is None else str(each["auroc"]["n"]),
        )
    return table


def _other(systems: Figures, between: str) -> Table:
    table = table_of(
        "neutral answers, cost (%)", "system", "neutral unchanged", "late refusals", "time"
    )
    for name, each in systems.items():
        table.add_row(
            Text(visible(name)),
            percent(each["neutral_unchanged"], between),
            percent(each["late_refusals"], between),
            _times(each["overhead"]),
        )
    return table


def _naming(naming: Figures, between: str) -> Table:
    table = table_of("things named, unguarded (%)", "picture", "recall", "precision", "exact")
    for name, title in (("picture", "as shown"), ("blank", "blank")):
        each = naming[name] or {}
        cells = (percent(each.get(what), between) for what in ("recall", "precision", "exact"))
        table.add_row(title, *cells)
    table.add_row("another (chance)", percent(naming["chance"], between), "-", "-")
    return table


def _p_value(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _times(overhead: Figures | None) -> str:
    """The ratio on answers that stayed the same: on the others the lengths differ, too."""
    if overhead is None:
        return "-"
    ratio = overhead["unchanged_answers"] or overhead["value"]
    return "-" if ratio is None else f"{ratio:.2f}x"
