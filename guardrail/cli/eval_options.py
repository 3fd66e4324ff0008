"""The options of `guardrail eval` that say what its figures may not be, and where they go."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with 1 if a figure passes a limit, such as 'wrong_answers.high > 0.05'; "
        "repeat it.",
        show_default=False,
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the conditions as JUnit XML.", show_default=False),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Write a page of it all.", show_default=False
    ),
]
InspectLog = Annotated[
    Path | None,
    typer.Option(
        "--inspect",
        metavar="FILE.json|DIR",
        help="Write a log for Inspect AI: of the evaluated policy, or into DIR of every system.",
        show_default=False,
    ),
]
Cases = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.cases.yaml",
        help="Write what was judged as cases for guardrail policy test.",
        show_default=False,
    ),
]


def command_line(context: typer.Context) -> str:
    """Returns what a reader would type to run this again: whatever is not as by default."""
    words = ["guardrail", "eval"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value is None or value == parameter.get_default(context) or value == ():
            continue
        if parameter.param_type_name == "argument":
            words.append(str(value))
        else:
            words += _spelled(parameter, value)
    return shlex.join(words)


def _spelled(parameter: Any, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [parameter.opts[0] if value else parameter.secondary_opts[0]]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (parameter.opts[0], str(each))]
