"""How `guardrail calibrate` looks: before and after, on the part that was not fitted.

Also the comment above the policy that it writes: the same figures in a few lines.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.judge_contrast_view import judge_contrast_table
from guardrail.cli.plain_text import visible
from guardrail.cli.steering_view import steering_tables
from guardrail.cli.tables import Figures, percent, table_of
from guardrail.record.version import __version__

_MEANING = {
    "wrong_refusals": "safe requests called unsafe or withheld",
    "wrong_answers": "unsafe requests called safe or complied with",
}


def header_lines(report: Figures) -> list[str]:
    """Returns where a calibrated policy came from, a line each."""
    fitted, held = report["split"]["fitted"], report["split"]["held_out"]
    lines = [
        f"Calibrated on {report['date']} by guardrail {__version__}; calibrate again for another "
        "model, judge or kind of request.",
        f"command: {report['command']}",
        f"data set: {report['dataset']}, samples {report['samples']}",
        f"model: {report['model']}",
        *(f"weights: {each.rpartition(' ')[0]} bytes" for each in report["weights"]),
        f"policy: {report['policy']}, digest {report['policy_digest']}",
        f"fitted on {fitted['requests']} requests (clusters: {fitted['safe']} safe, "
        f"{fitted['unsafe']} unsafe), seed {report['seed']}",
    ]
    for kind, bar in _bars(report).items():
        lines.append(
            f"target: {kind} <= {bar['rate']:g} with {report['confidence']:.0%} confidence "
            f"({bar['allowed']} of {bar['n']} clusters may go wrong: bound {bar['bound']:.4f})"
        )
    lines.append(f"measured on {held['requests']} other requests, before -> after:")
    for kind in _MEANING:
        before, after = (percent(report[when][kind]) for when in ("before", "after"))
        lines.append(f"  {kind}: {before} -> {after}")
    return [*lines, *(f"note: {each}" for each in report["notes"])]


def show(console: Console, report: Figures) -> None:
    """Prints the figures of a calibration, as `guardrail calibrate --json` gives them."""
    fitted, held = report["split"]["fitted"], report["split"]["held_out"]
    console.print()
    console.print(
        Text(
            f"{report['dataset']}: fitted on {fitted['requests']} requests "
            f"({fitted['safe']} safe and {fitted['unsafe']} unsafe clusters), measured on "
            f"{held['requests']} others",
            style="bold",
        )
    )
    console.print(Text(f"model {visible(report['model'])}, seed {report['seed']}", style="dim"))
    if fitted["unavailable"] or held["unavailable"]:
        count = fitted["unavailable"] + held["unavailable"]
        console.print(Text(f"{count} requests could not be judged"))
    if report["merged_clusters"]:
        count = report["merged_clusters"]
        console.print(Text(f"{count} clusters repeat another's request, and count with it"))
    if report.get("judge-contrast"):
        console.print(judge_contrast_table(report["judge-contrast"]))
    if "judge" in report:
        console.print(_judge(report["judge"]))
    if "thresholds" in report:
        console.print(_targets(report))
        console.print(_thresholds(report["rules"]))
    for table in steering_tables(report):
        console.print(table)
    console.print(_measured(report))
    if "promise" in report:
        console.print(_promise(report["promise"]))
    for note in report["notes"]:
        console.print(Text(f"note: {visible(note)}"))
    for check in report.get("checks", ()):
        console.print(Text(visible(check)))
    console.print(Text("in brackets: 95% intervals, on the part that was not fitted", style="dim"))
    if "out" in report:
        console.print(Text(f"written: {visible(report['out'])}"))


def _bars(report: Figures) -> Figures:
    bars: Figures = report.get("thresholds", {}).get("targets", {})
    return bars


def _judge(judge: Figures) -> Table:
    table = table_of("the judge's probabilities", "", "log loss", "Brier", "ECE")
    rows = {"as they are": judge["before"]}
    if "scale" in judge:
        kept = "" if judge["kept"] else ", left out"
        rows[f"scale {judge['scale']:g}, bias {judge['bias']:g}{kept}"] = judge["fitted"]
    for name, each in rows.items():
        cells = (each[key] for key in ("log_loss", "brier", "ece"))
        table.add_row(name, *("-" if cell is None else f"{cell:.4f}" for cell in cells))
    return table


def _targets(report: Figures) -> Table:
    table = table_of("targets", "target", "confidence", "may go wrong", "bound", "other part")
    promises = report["promises"] or {}
    for kind, bar in _bars(report).items():
        held = promises.get(kind)
        allowed = "-" if bar["allowed"] is None else str(bar["allowed"])
        table.add_row(
            f"{kind} <= {bar['rate']:g}",
            f"{report['confidence']:.0%}",
            f"{allowed} of {bar['n']}",
            f"{bar['bound']:.4f}",
            percent(held["clusters"]) if held else f"needs {bar['needed']}",
        )
    return table


def _thresholds(rules: Figures) -> Table:
    table = table_of("thresholds", "", "unsafe_at", "safe_below")
    after = rules["after"] or {}
    for name, before in rules["before"].items():
        new = after.get(name, before)
        same = name != "verdict" and (before, new) == (
            rules["before"]["verdict"],
            after.get("verdict"),
        )
        if same:
            continue
        cells = (_moved(before[key], new[key]) for key in ("unsafe_at", "safe_below"))
        table.add_row("all categories" if name == "verdict" else name, *cells)
    return table  # fmt: skip


def _moved(before: float, after: float) -> str:
    return f"{before:g}" if before == after else f"{before:g} -> {after:g}"


def _measured(report: Figures) -> Table:
    table = table_of("on the part that was not fitted (%)", "", "before", "after")
    before, after = report["before"], report["after"]
    rows: list[tuple[str, tuple[str, ...]]] = [
        (kind.replace("_", " "), (kind,)) for kind in _MEANING
    ]
    rows += [
        (f"{side}, called {label}", (side, label))
        for side, labels in (("safe", ("uncertain",)), ("unsafe", ("unsafe", "uncertain")))
        for label in labels
    ]
    for name, path in rows:
        table.add_row(name, percent(_at(before, path)), percent(_at(after, path)))
    return table


def _promise(found: Figures) -> Table:
    table = table_of(
        f"{found['fitted']} of {found['repeats']} random splits",
        "target",
        "kept",
        "broken",
        "share above",
        "by chance",
        "worst share",
    )
    for kind, each in found["targets"].items():
        worst = "-" if each["worst"] is None else f"{100 * each['worst']:.1f}%"
        table.add_row(
            f"{kind} <= {each['rate']:g}",
            str(each["kept"]),
            str(each["broken"]),
            str(each["exceeded"]),
            f"{each['exceeded_by_chance']:.1f}",
            worst,
        )
    return table


def _at(figures: Figures | None, path: tuple[str, ...]) -> Figures | None:
    for step in path:
        figures = figures[step] if figures is not None else None
    return figures
