"""`guardrail eval --list`: the data sets that can be named. It reads none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrail.cli.plain_text import visible
from guardrail.evaluation.datasets import listing


def print_datasets(*, as_json: bool) -> None:
    """Prints what every data set says of itself, as a table or as one JSON list.

    Raises:
        DatasetError: What an installed package publishes cannot be imported, or is no data set.
    """
    found = listing()
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _show(Console(highlight=False), found)


def _show(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("data set", no_wrap=True)
    table.add_column("what is asked, its sides; what is read; where it comes from", overflow="fold")
    for each in found:
        hub = f", or --data {each['hub']}" if each["hub"] else ""
        told = Text(visible(each["asks"])).append(f"; {visible(each['sides'])}", style="dim")
        for line in (each["layout"], f"{each['source']}{hub}"):
            told.append(f"\n{visible(line)}", style="dim")
        table.add_row(Text(visible(each["name"]), style="bold"), told)
    console.print(table)
    console.print(Text("licences, and what is left out of each set: docs/datasets.md", style="dim"))
