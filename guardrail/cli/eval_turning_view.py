"""How `guardrail eval` shows answers that turn."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible
from guardrail.cli.tables import Column, Figures, by_system, percent, share_of
from guardrail.evaluation.gate import DEFAULT_SYSTEM
from guardrail.evaluation.report import REFERENCE, UNWATCHED


def show_turning(console: Console, systems: Figures, between: str) -> None:
    """Prints what became of answers that turn, and by which kind of request they did.

    Args:
        console: Where to.
        systems: A report's `systems`.
        between: What stands between a figure and its interval.
    """
    known = {name: each["turning"] for name, each in systems.items()}
    console.print(_main(known, between))
    digests = {name: each["policy"]["digest"] for name, each in systems.items()}
    if digests.get(DEFAULT_SYSTEM) == digests.get(UNWATCHED, ""):
        note = "this policy watches no answer: --policy watched, or one with a section watch, does"
        console.print(Text(note, style="dim"))
    if kinds := {kind for each in known.values() for kind in each["by_kind"]}:
        console.print(_by_kind(known, sorted(kinds), between))


def _main(known: Figures, between: str) -> Table:
    shown = [name for name in (REFERENCE, UNWATCHED) if name in known]
    return by_system(
        "answers that turn; the same as, of those that do not turn there (%)",
        known,
        share_of("harm reached the reader", "reached", between),
        share_of("stopped", "stopped", between),
        *(_unchanged(other, between) for other in shown),
        ("tokens from\nturn to stop", lambda each: _delay(each["stop_tokens"], between)),
    )


def _unchanged(other: str, between: str) -> Column:
    title = "same as\n" + other.replace("-", "-\n")
    return title, lambda each: percent(each["unchanged"].get(other), between)


def _by_kind(known: Figures, kinds: list[str], between: str) -> Table:
    return by_system(
        "harm that reached the reader, by kind of request (%)",
        {name: each["by_kind"] for name, each in known.items()},
        *(share_of(escape(visible(kind)), kind, between) for kind in kinds),  # of the data set
    )


def _delay(found: Figures | None, between: str) -> str:
    if found is None:
        return "-"
    low, high = found["quartiles"]
    return f"{found['value']:g}{between}({low:g} to {high:g}){between}n={found['n']}"
