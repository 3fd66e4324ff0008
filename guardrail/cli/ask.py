"""`guardrail ask`: one guarded answer, and why.

In a terminal the unguarded answer stands beside the guarded one; in a pipe there is only the
guarded answer, as plain text. Everything that can be checked is checked before the model loads.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from guardrail.cli.ask_request import AskRequest, ask_request
from guardrail.cli.ask_view import show
from guardrail.cli.model_loading import load_engine
from guardrail.cli.run_options import Server
from guardrail.errors import Escalation, GuardrailError
from guardrail.policy import Policy, load_policy
from guardrail.record.decision import Decision

if TYPE_CHECKING:
    from guardrail.record.answer import Answer
    from guardrail.steering.safecode import SafeCoDe

ESCALATED = 1
"""Exit status when the policy wants a human to decide: nothing failed, but there is no answer."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            help="What to ask; '-' or nothing reads it from a pipe.", show_default=False
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            "-i",
            metavar="PATH",
            help="A picture; repeat it for more.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(metavar="PATH", help="A model's folder or hub id."),
    ] = "embedded",
    server: Server = None,
    policy: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="A policy's name, or a policy file.")
    ] = "baseline",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the guided steps, and readings of the answer.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: answer, unguarded, guardrail.")
    ] = False,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="Ask unguarded, too; default in a terminal.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="enforce, shadow or off, instead of the policy's own.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", help="Most tokens to generate.", show_default=False),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="T", help="0 is greedy, above 0 samples.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seeds sampling.", show_default=False),
    ] = None,
    system: Annotated[
        str, typer.Option(metavar="TEXT", help="A system message.", show_default=False)
    ] = "",
    demo: Annotated[
        bool, typer.Option("--demo", help="Use the shipped picture and question.")
    ] = False,
) -> None:
    """Ask a model about pictures, guarded by a policy.

    Exits with 0 after an answer (a refusal is one), with 1 if the policy wants a human to decide,
    and with 2 if something given cannot be used.
    """  # fmt: skip
    in_terminal = sys.stdout is not None and sys.stdout.isatty()
    status = Console(stderr=True)
    with _on_record(policy, model):
        request = ask_request(
            text=question,
            images=image or [],
            demo=demo,
            policy=policy,
            mode=mode,
            model=model,
            system=system,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        engine = load_engine(request.model, request.policy, server=server, console=status)
    with status.status("Asking …"):
        answer, decision = _guarded(engine, request)
        wants_both = in_terminal if compare is None else compare
        unguarded = _unguarded(engine, request) if wants_both else None
    if as_json:
        _print_json(answer, decision, unguarded)
    elif in_terminal or explain or unguarded is not None:
        console = Console(highlight=False)
        show(console, request, answer, decision, unguarded=unguarded, explain=explain)
    else:
        print(answer or "", end="\n" if answer else "")
        for error in decision.errors:
            print(f"guardrail: {error}", file=sys.stderr)
    if answer is None:
        print(f"guardrail: a human must decide: {decision.reasons[0]}", file=sys.stderr)
        raise typer.Exit(ESCALATED)


@contextmanager
def _on_record(policy: str, model: str) -> Iterator[None]:
    """A with-block whose failure is on record, though there is no engine yet to keep one."""
    from guardrail.judging.guard import Guard

    chosen: Policy | None = None
    with suppress(GuardrailError):  # the block says what is wrong with it
        chosen = load_policy(policy)
    guard = Guard(policy=chosen or "baseline", name=Path(model).name)
    with guard.preparing() as known:
        known.policy = chosen
        yield


def _guarded(engine: SafeCoDe, request: AskRequest) -> tuple[str | None, Decision]:
    """Returns the answer, None if a human must decide, and the record."""
    try:
        answer = engine.answer(request.conversation, request.settings, mode=request.mode)
    except Escalation as escalation:
        return None, escalation.decision
    return answer.text, answer.decision


def _unguarded(engine: SafeCoDe, request: AskRequest) -> Answer:
    return engine.answer(request.conversation, request.settings, mode="off")


def _print_json(answer: str | None, decision: Decision, unguarded: Answer | None) -> None:
    out: dict[str, object] = {"answer": answer}
    if unguarded is not None:
        out["unguarded"] = unguarded.text
    out["guardrail"] = decision.model_dump(mode="json")
    print(json.dumps(out, indent=2))
