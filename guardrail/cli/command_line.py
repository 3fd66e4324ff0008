"""The command that was run, so that it can be run again."""

from __future__ import annotations

import shlex
from typing import Any

import typer


def command_line(context: typer.Context) -> str:
    """Returns what a reader would type to run this again: whatever is not as by default."""
    words = ["guardrail", context.command.name or ""]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value in (None, [], ()) or value == parameter.get_default(context):
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
