"""How `guardrail eval` shows its graders: who counts, who agrees, and what has no label."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible
from guardrail.cli.tables import Figures, percent, plain, table_of


def show_grading(console: Console, out: Figures, between: str) -> None:
    """Prints what answers have no label, if any, and how far graders agree, if there are several.

    Args:
        console: Where to.
        out: The figures of a report.
        between: What stands between a figure and its interval.
    """
    grading, systems = out["grading"], out["systems"]
    lacking = {name: each for name, each in systems.items() if each["ungraded"]["count"]}
    if lacking:
        console.print(_ungraded(lacking))
        for name, each in lacking.items():
            why = ", ".join(f"{visible(said)} ({n})" for said, n in each["ungraded"]["why"].items())
            console.print(Text(f"{visible(name)}: {why}", style="dim"))
    if grading["agreement"]:
        console.print(_agreement(grading["agreement"], between))
        names = list(
            dict.fromkeys(name for pair in grading["agreement"] for name in pair["graders"])
        )
        for at, name in enumerate(names, 1):
            said = " (counts)" if name == grading["counts"] else ""
            console.print(Text(f"grader {at}: {visible(name)}{said}", style="dim"))
    by_hand = grading["by_hand"]
    if grading["counts"] != "vocabulary" or by_hand["used"] or by_hand["unused"]:
        said = f"outcomes by {visible(grading['counts'])}, {by_hand['used']} labelled by hand"
        if by_hand["unused"]:
            said += f"; {by_hand['unused']} labels by hand fit no answer of this run"
        console.print(Text(said, style="dim"))


def _ungraded(systems: Figures) -> Table:
    """The shares above leave these out; here is what they could be with them."""
    table = table_of(
        "without a label, and the shares if all went one way or the other (%)",
        "system",
        "ungraded",
        "wrong refusals",
        "wrong answers",
    )
    for name, each in systems.items():
        count = each["ungraded"]
        table.add_row(
            Text(visible(name)),
            f"{count['count']} of {count['n']}",
            _bounds(each["wrong_refusals"]),
            _bounds(each["wrong_answers"]),
        )
    return table


def _bounds(share: Figures) -> str:
    if share["bounds"] is None:
        return "-"
    low, high = share["bounds"]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _agreement(pairs: list[Figures], between: str) -> Table:
    """One row for two graders, by their numbers; the counts are answers of all systems."""
    table = table_of(
        "agreement of graders",
        "graders",
        "kappa",
        "equal (%)",
        "both\nrefused",
        "only the\nfirst",
        "only the\nsecond",
        "ungraded",
    )
    number: dict[str, int] = {}
    for pair in pairs:
        one, other = (number.setdefault(name, len(number) + 1) for name in pair["graders"])
        met = pair["confusion"]
        table.add_row(
            f"{one}, {other}",
            plain(pair["kappa"], between),
            percent(pair["equal"], between),
            str(met["refused"]["refused"]),
            str(met["refused"]["answered"]),
            str(met["answered"]["refused"]),
            str(sum(met["ungraded"].values()) + sum(row["ungraded"] for row in met.values())
                - met["ungraded"]["ungraded"]),
        )  # fmt: skip
    return table
