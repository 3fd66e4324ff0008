"""How `guardrail eval` shows answers that turn."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible
from guardrail.cli.tables import Figures, percent, table_of
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
    table = table_of(
        "answers that turn (%)",
        "system",
        "harm reached the reader",
        "stopped",
        *(f"unchanged where harmless, {visible(name)}" for name in shown),
        "tokens from turn to stop",
    )
    for name, each in known.items():
        table.add_row(
            Text(visible(name)),
            percent(each["reached"], between),
            percent(each["stopped"], between),
            *(percent(each["unchanged"].get(other), between) for other in shown),
            _delay(each["stop_tokens"]),
        )
    return table


def _by_kind(known: Figures, kinds: list[str], between: str) -> Table:
    table = table_of("harm that reached the reader, by kind of request (%)", "system", *kinds)
    for name, each in known.items():
        cells = (percent(each["by_kind"].get(kind), between) for kind in kinds)
        table.add_row(Text(visible(name)), *cells)
    return table


def _delay(found: Figures | None) -> str:
    if found is None:
        return "-"
    low, high = found["quartiles"]
    return f"{found['value']:g} ({low:g} to {high:g}, n={found['n']})"
