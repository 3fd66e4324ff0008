"""How `guardrail ask` shows the readings of an answer under way: a line and a bar each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from guardrail.cli.bar import LABEL_STYLES, probability_bar
from guardrail.cli.plain_text import visible
from guardrail.cli.watch_text import watched_with
from guardrail.policy.terms import Act
from guardrail.policy.watch import Watch
from guardrail.record.decision import Decision, WatchRecord

MOST = 24
"""Readings that get a line each; of more, those that cleared the answer are thinned out."""
MOST_REASONS = 2
"""Reasons that are told beside the last one's; the log has them all."""

ACT_STYLES: dict[Act, str] = {"release": "green", "record": "yellow", "hold": "yellow",
              "steer": "red", "end": "bold red", "replace": "bold red",
              "escalate": "magenta"}  # fmt: skip


def readings(decision: Decision, watch: Watch, console: Console) -> Iterator[RenderableType]:
    """Yields the readings of an answer, if it was watched.

    Args:
        decision: Its record.
        watch: How its policy has answers read.
        console: Where they are shown.
    """
    if watch.is_off or decision.mode == "off":
        return
    yield Text(watched_with(watch), style="dim")
    if not decision.watch:
        yield Text("no readings: there was no answer to read", style="dim")
        return
    yield _table(_thinned(decision.watch), watch, console)
    left = len(decision.watch) - len(_thinned(decision.watch))
    if left:
        yield Text(f"{left} more readings cleared the answer", style="dim")
    told = [reading for reading in decision.watch if reading.act != "release"]
    for reading in [*told[:-1][:MOST_REASONS], *told[-1:]]:
        why = reading.reasons[0] if reading.reasons else reading.label
        yield Text(visible(f"at {reading.tokens} tokens: {why}"), style="dim")


def _thinned(given: Sequence[WatchRecord]) -> list[WatchRecord]:
    """Returns the readings that get a line: the last, those that cleared nothing, some others."""
    step = -(-len(given) // MOST)
    last = len(given) - 1
    return [
        reading
        for at, reading in enumerate(given)
        if reading.act != "release" or at % step == 0 or at == last
    ]


def _table(shown: Sequence[WatchRecord], watch: Watch, console: Console) -> Table:
    ascii_only = console.options.ascii_only
    width = max(8, min(44, console.width - 60))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("p(harm)", justify="right", no_wrap=True)
    table.add_column(Text("0" + " " * (width - 2) + "1"), no_wrap=True)
    table.add_column("label", no_wrap=True)
    table.add_column("act", no_wrap=True)
    for reading in shown:
        p, style, marks = reading.p_unsafe, LABEL_STYLES[reading.label], _thresholds(watch)
        table.add_row(
            str(reading.tokens),
            "-" if p is None else f"{p:.3f}",
            probability_bar(p, marks, width=width, style=style, ascii_only=ascii_only),
            Text(reading.label, style=style),
            Text(_act(reading), style=ACT_STYLES[reading.act]),
        )
    return table


def _thresholds(watch: Watch) -> tuple[float, float]:
    return watch.safe_below, watch.unsafe_at


def _act(reading: WatchRecord) -> str:
    return f"{reading.act} (all of it)" if reading.over else reading.act
