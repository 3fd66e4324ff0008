"""`guardrail bench`: plain `generate()` against guarded answers, interleaved in one run."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer
from rich.console import Console

from guardrail.cli.model_loading import SERVER_KEY, quiet
from guardrail.cli.run_options import Server
from guardrail.errors import SettingsError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("bench")
def bench(
    model: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A model's folder or hub id.", show_default=False),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of a model: llava-250m (the default), qwen2.5-vl-7b, tiny, embedded.",
            show_default=False,
        ),
    ] = None,
    new_tokens: Annotated[
        str, typer.Option(metavar="N,N", help="Lengths of answers, in tokens.")
    ] = "16,64",
    variants: Annotated[
        str, typer.Option(metavar="A,B,…", help="Of off, always, viewed, skipped, reference.")
    ] = "always,skipped,reference",
    pictures: Annotated[
        str,
        typer.Option(metavar="N,N", help="Also: what guarding adds with so many pictures."),
    ] = "",
    vocabulary: Annotated[
        int,
        typer.Option(metavar="N", help="Also: what N refusal phrases cost at a guided step."),
    ] = 0,
    recording: Annotated[
        bool, typer.Option("--recording", help="Also: what tracing and the audit log cost.")
    ] = False,
    watching: Annotated[
        bool, typer.Option("--watching", help="Also: what reading an answer as it grows costs.")
    ] = False,
    prompt_tokens: Annotated[
        int, typer.Option(metavar="N", help="Of the prompt, its picture included.")
    ] = 230,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds.")] = 5,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="CPU threads.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or cuda:N.")] = "cpu",
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="float32, bfloat16 or float16.", show_default=False),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Measure peak memory, too.")
    ] = True,
    server: Server = None,
    clients: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="With --server, also: what N clients get through."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure what guarding costs: time, time to the first token, peak memory."""
    errors = Console(stderr=True)
    lengths, counts = _numbers(new_tokens, "--new-tokens"), _numbers(pictures, "--pictures")
    if not lengths:
        raise SettingsError("--new-tokens is empty, expected numbers such as 16,64")
    if server is not None:
        _served(server, model, lengths, repeats, clients, as_json=as_json, errors=errors)
        return
    if clients:
        raise SettingsError("--clients is given without --server, where they would ask")
    names = [name.strip() for name in variants.split(",") if name.strip()]
    with errors.status("Loading …") as status:
        quiet()
        from guardrail.bench.run import Plan, run

        plan = Plan(
            model=model,
            shape=shape,
            new_tokens=lengths,
            variants=names,
            pictures=counts,
            vocabulary=vocabulary,
            recording=recording,
            watching=watching,
            prompt_tokens=prompt_tokens,
            repeats=repeats,
            threads=threads,
            device=device,
            dtype=dtype,
            memory=memory,
        )
        report = run(plan, progress=lambda what: status.update(f"{what} …"))
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
        return
    from guardrail.bench.report import show

    show(report, Console())


def _served(
    url: str,
    model: str | None,
    lengths: list[int],
    repeats: int,
    clients: int,
    *,
    as_json: bool,
    errors: Console,
) -> None:
    from guardrail.bench.served import ServedPlan, bench_server, show_served

    key = os.environ.get(SERVER_KEY)
    plan = ServedPlan(url, model, key, tuple(lengths), repeats, clients)
    with errors.status("Asking the server …") as status:
        report = bench_server(plan, progress=lambda what: status.update(f"{what} …"))
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        show_served(report, Console())


def _numbers(text: str, option: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise SettingsError(f"{option} is {text!r}, expected numbers of 1 or more, such as 16,64")
    return numbers
