"""`guardrail eval --list-systems`: what can be compared. It loads no model."""

from __future__ import annotations

import json

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.evaluation.systems import DEFAULT_SYSTEMS, listing


def print_systems(*, as_json: bool) -> None:
    """Prints what every system says of itself, as a table or as one JSON list."""
    found = listing()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("system", no_wrap=True)
    table.add_column("what it is; where it comes from; what it costs", overflow="fold")
    for each in found:
        told = Text(each["summary"])
        if each["parameter"]:
            told.append(f" ({each['parameter']})")
        told.append(f"\nfrom: {each['origin']}", style="dim")
        told.append(f"\ncost: {each['cost']}", style="dim")
        table.add_row(Text(each["name"], style="bold"), told)
    console.print(table)
    by_default = ", ".join(DEFAULT_SYSTEMS)
    console.print(Text(f"without --systems: {by_default}; how they ask: docs/systems.md", "dim"))
