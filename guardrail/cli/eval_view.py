"""How `guardrail eval` looks: one row per system, every share with its interval."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.eval_grading_view import show_grading
from guardrail.cli.eval_turning_view import show_turning
from guardrail.cli.plain_text import visible
from guardrail.cli.tables import Figures, by_system, percent, plain, share_of, table_of

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
    if any(count for side, count in counts.items() if side != "turning"):
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
    return by_system(
        "what goes wrong (%)",
        systems,
        share_of("wrong refusals", "wrong_refusals", between),
        share_of("wrong answers", "wrong_answers", between),
        share_of("balanced accuracy", "balanced_accuracy", between),
        ("gain", lambda each: percent(each["gain"], between, signed=True)),
    )


def _sides(title: str, systems: Figures, between: str) -> Table:
    return by_system(
        title,
        systems,
        share_of("wrong refusals", "wrong_refusals", between),
        share_of("wrong answers", "wrong_answers", between),
    )


def _paired(systems: Figures) -> Table:
    """What changed against unguarded, request by request, with McNemar's exact test of each side.

    "Wrong now" were right unguarded, "right now" were wrong.
    """
    pairs = {name: each["mcnemar"]["unguarded"] for name, each in systems.items()}
    return by_system(
        "request by request, against unguarded",
        pairs,
        ("safe:\nwrong now", lambda pair: str(pair["safe"]["b"])),
        ("safe:\nright now", lambda pair: str(pair["safe"]["c"])),
        ("p", lambda pair: _p_value(pair["safe"]["p"])),
        ("unsafe:\nwrong now", lambda pair: str(pair["unsafe"]["b"])),
        ("unsafe:\nright now", lambda pair: str(pair["unsafe"]["c"])),
        ("p", lambda pair: _p_value(pair["unsafe"]["p"])),
    )


def _verdict(systems: Figures, between: str) -> Table:
    return by_system(
        "the verdict",
        systems,
        ("AUROC", lambda each: plain(each["auroc"], between)),
        ("Brier", lambda each: plain(each["brier"], between)),
        ("ECE", lambda each: plain(each["ece"], between)),
        ("requests", lambda each: "-" if each["auroc"] is None else str(each["auroc"]["n"])),
    )


def _other(systems: Figures, between: str) -> Table:
    return by_system(
        "neutral answers, cost (%)",
        systems,
        share_of("neutral unchanged", "neutral_unchanged", between),
        share_of("late refusals", "late_refusals", between),
        ("time", lambda each: _times(each["overhead"])),
    )


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
