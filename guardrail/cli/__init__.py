"""The command line, `guardrail`. Loading it loads no torch, no transformers and no langchain.

Each sub-command lives in a module of its own, which is imported only when it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from guardrail.cli.plain_text import visible
from guardrail.errors import GuardrailError
from guardrail.record.version import __version__

BAD_USE = 2
"""Exit status for bad use and bad input; 1 is for a check that failed."""

COMMANDS = {
    "ask": "Ask about a picture, guarded.",
    "policy": "Write, check, explain, compare and test policies.",
    "audit": "Read and verify the audit log.",
    "eval": "Measure a model under policies.",
    "calibrate": "Fit a judge and thresholds to a target.",
    "reference": "Note what requests a model was tried on.",
    "bench": "Measure what guarding costs.",
    "serve": "Serve a guarded model over HTTP.",
}


class LazyCommands(TyperGroup):
    """The sub-commands: `guardrail/cli/<name>.py` with an `app: typer.Typer`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the commands there are, in their order."""
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name}") is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports and returns a command; None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return typer.main.get_command(import_module(f"{__name__}.{cmd_name}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


app = typer.Typer(
    cls=LazyCommands, no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"guardrail {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Safety guardrail middleware for local multimodal language models."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0 done, 1 a check failed, 2 bad use or bad input, with one line on standard error.
    """
    command = typer.main.get_command(app)
    try:
        status = command.main(args=arguments, prog_name="guardrail", standalone_mode=False)
    except GuardrailError as error:
        return _complain(str(error))
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group alone: its help is the message
            print(error, file=sys.stderr)
            return BAD_USE
        if hasattr(error, "format_message"):  # typer's usage errors
            return _complain(error.format_message()) if str(error) else BAD_USE
        raise
    return status if isinstance(status, int) else 0


def _complain(message: str) -> int:
    print(f"guardrail: error: {visible(' '.join(message.split()))}", file=sys.stderr)
    return BAD_USE
