"""`guardrail eval`: several systems side by side on one data set, with intervals."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from guardrail.cli.eval_datasets import print_datasets
from guardrail.cli.eval_grading import Grading
from guardrail.cli.eval_options import Cases, FailIf, InspectLog, Junit, Report, command_line
from guardrail.cli.eval_out import Evaluated, outputs_of
from guardrail.cli.eval_systems import print_systems
from guardrail.cli.eval_view import show
from guardrail.cli.model_loading import load_engine
from guardrail.cli.plain_text import visible
from guardrail.errors import SettingsError
from guardrail.evaluation import (
    DEFAULT_SYSTEMS,
    Dataset,
    Results,
    System,
    load_dataset,
    report,
    run,
    systems_for,
)
from guardrail.evaluation.agreement import require_libraries
from guardrail.evaluation.report import scored_rows
from guardrail.evaluation.runner import requests_of
from guardrail.evaluation.weights import weights_of
from guardrail.policy import load_policy
from guardrail.record.version import __version__
from guardrail.request.settings import GenerationSettings

FAILED = 1

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("eval")
def evaluate(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Its name; --list shows them all.")
    ] = "",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|ORG/NAME[@REVISION]",
            help="Where the data set lies: a folder, or a hub id; not needed for scenes.",
            show_default=False,
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the data sets, their layouts and sources.")
    ] = False,
    language: Annotated[
        str,
        typer.Option(metavar="TAG,…", help="Only what is asked in these languages, as en,de."),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Only N pairs and N neutral questions, chosen by the seed.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    systems: Annotated[
        str,
        typer.Option(
            metavar="A,B,…", help="Of what --list-systems shows; `all` of them; or policies."
        ),
    ] = ",".join(DEFAULT_SYSTEMS),
    systems_listed: Annotated[
        bool, typer.Option("--list-systems", help="Show the systems that can be compared.")
    ] = False,
    policy: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="The policy that is evaluated.")
    ] = "baseline",
    model: Annotated[
        str, typer.Option(metavar="PATH", help="A model's folder or hub id.")
    ] = "embedded",
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the part, and resamples.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep each answer here, and go on from it next time.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from FILE, or write it anew.")
    ] = True,
    batch: Annotated[int, typer.Option(metavar="N", help="Requests that run together.")] = 16,
    max_tokens: Annotated[int, typer.Option(metavar="N", help="Most tokens per answer.")] = 64,
    graders: Annotated[
        list[str] | None,
        typer.Option(
            "--grader",
            metavar="GRADER",
            help="Who says what a refusal is: vocabulary (the default), model:PATH, "
            "chat:MODULE:ATTRIBUTE, or a rubric's file. Others are compared with the first.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Labels by hand, which override.", show_default=False
        ),
    ] = None,
    to_label: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Write here what graders differ on, for a person to label.",
            show_default=False,
        ),
    ] = None,
    fail_if: FailIf = None,
    junit: Junit = None,
    html: Report = None,
    inspect: InspectLog = None,
    cases: Cases = None,
) -> None:
    """Count wrong refusals and wrong answers, unguarded and guarded, side by side.

    DATASET is `scenes` (ships with the package), a published set in the layout it is distributed
    in, or `own`: a list or folder of your own pictures, questions and labels. Decoding is greedy.
    """  # fmt: skip
    if listed or systems_listed:
        (print_datasets if listed else print_systems)(as_json=as_json)
        return
    started = time.perf_counter()
    outputs = outputs_of(fail_if, junit=junit, report=html, inspect=inspect, cases=cases)
    settings = GenerationSettings(max_new_tokens=max_tokens, temperature=0)
    if batch < 1:
        raise SettingsError(f"batch is {batch}, expected 1 or more")
    if not 0 <= seed < 2**63:
        raise SettingsError(f"seed is {seed}, expected an integer from 0 to 2**63 - 1")
    evaluated = load_policy(policy)
    compared = systems_for(systems.split(","), evaluated)
    asked = load_dataset(dataset, data)
    if language:
        asked = asked.in_languages(language.split(","))
    asked = asked.limited(limit, seed=seed)
    require_libraries()
    grading = Grading(graders, labels=labels, to_label=to_label)
    header = _header(asked, compared, model=model, batch=batch, max_tokens=max_tokens)
    evaluation = Evaluated(asked, compared, evaluated, policy)
    outputs.check(evaluation)
    results = Results(header, path=output, resume=resume)

    status = Console(stderr=True)
    engine = load_engine(None if model == "embedded" else model, evaluated, console=status)
    with _progress(status) as bar:
        tasks = {
            each.name: bar.add_task(each.name, total=requests_of(each, asked)) for each in compared
        }
        run(
            engine,
            asked,
            compared,
            results,
            settings=settings,
            batch=batch,
            progress=lambda system, answered: bar.advance(tasks[system.name], answered),
        )
        phrases = evaluated.phrases
        outcomes = grading.outcomes(
            asked, compared, results, phrases=phrases, engines={model: engine}, bar=bar
        )
    figures = report(asked, compared, results, phrases=phrases, seed=seed, outcomes=outcomes)
    out = {
        "dataset": asked.name,
        "origin": asked.origin,
        "model": model,
        "seed": seed,
        "limit": limit,
        "run": header,
        **figures,
    }
    findings = outputs.findings(out)
    if findings:
        out["gate"] = [each.to_json() for each in findings]
    if as_json:
        print(json.dumps(out, indent=2))
    else:
        show(Console(highlight=False), out)
    outputs.write(
        evaluation,
        {each.name: scored_rows(asked, each, results, phrases, outcomes) for each in compared},
        results,
        out,
        findings,
        command=command_line(context),
        seconds=time.perf_counter() - started,
    )
    for each in findings:
        print(f"gate {visible(str(each))}", file=sys.stderr)
    if any(each.holds for each in findings):
        raise typer.Exit(FAILED)


def _header(
    dataset: Dataset, systems: Sequence[System], *, model: str, batch: int, max_tokens: int
) -> dict[str, Any]:
    """Returns what answers depend on: a results file of another run is not gone on from."""
    return {
        "guardrail": __version__,
        "dataset": dataset.name,
        "samples": dataset.digest,
        "model": model,
        "weights": weights_of(model),
        "policies": {each.name: each.identity for each in systems},
        "batch": batch,
        "max_tokens": max_tokens,
    }


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
