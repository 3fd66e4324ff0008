"""What the commands of `guardrail audit` have in common: options, what they mean, and printing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from guardrail.errors import AuditError
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.times import moment_of
from guardrail.record.keys import AuditKey, find_key, read_key

Log = Annotated[
    Path,
    typer.Argument(
        metavar="LOG", envvar="GUARDRAIL_AUDIT_LOG", help="The log.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="The key's file; by default GUARDRAIL_AUDIT_KEY, GUARDRAIL_AUDIT_KEY_FILE or the "
        "user's own key.",
        show_default=False,
    ),
]
Action = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only this action.", show_default=False)
]
Category = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only this deciding category.", show_default=False),
]
PolicyName = Annotated[
    str | None, typer.Option("--policy", metavar="NAME", help="Only this policy.")
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only from then on: 2026-11-23, or 7d for seven days ago."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only before then.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")]


def chosen_of(
    action: str | None,
    category: str | None,
    policy: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Returns the filter that the options spell; the category `none` stands for none."""
    return Filter(
        action=action,
        category="" if category == "none" else category,
        policy=policy,
        since=moment_of(since) if since else None,
        until=moment_of(until) if until else None,
    )


def key_of(file: Path | None, *, needed: bool = True) -> AuditKey | None:
    """Returns the key in `file`, or the one that is found without.

    Raises:
        AuditError: There is none, and it is needed.
    """
    key = read_key(file) if file is not None else find_key()
    if key is None and needed:
        raise AuditError("there is no audit key: give --key FILE, or set GUARDRAIL_AUDIT_KEY")
    return key


def print_out(content: Any, as_json: bool = False) -> None:
    """Prints lines, or `content` as JSON."""
    lines = [json.dumps(content, indent=2)] if as_json else content
    for line in lines:
        typer.echo(line)
