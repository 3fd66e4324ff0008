"""`guardrail eval`: several systems side by side on one data set, with intervals."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from guardrail.cli.command_line import command_line
from guardrail.cli.eval_datasets import print_datasets
from guardrail.cli.eval_grading import Grading
from guardrail.cli.eval_options import (
    Cases,
    FailIf,
    Graders,
    InspectLog,
    Junit,
    Labels,
    Report,
    ToLabel,
)
from guardrail.cli.eval_out import Evaluated, outputs_of
from guardrail.cli.eval_systems import print_systems
from guardrail.cli.eval_view import show
from guardrail.cli.model_loading import load_engine
from guardrail.cli.plain_text import visible
from guardrail.cli.progress import progress_bars
from guardrail.cli.run_options import (
    AsJson,
    Batch,
    Data,
    DatasetName,
    Language,
    Limit,
    Model,
    Output,
    PolicyName,
    Resume,
    Seed,
    Server,
    check_numbers,
    load_asked,
)
from guardrail.evaluation import (
    DEFAULT_SYSTEMS,
    WATCHING_SYSTEMS,
    Results,
    default_systems,
    report,
    run,
    systems_for,
)
from guardrail.evaluation.provenance import run_of
from guardrail.evaluation.report import scored_rows
from guardrail.evaluation.runner import requests_of
from guardrail.policy import load_policy
from guardrail.request.settings import GenerationSettings

FAILED = 1

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("eval")
def evaluate(
    context: typer.Context,
    dataset: DatasetName = "",
    data: Data = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the data sets, their layouts and sources.")
    ] = False,
    language: Language = "",
    limit: Limit = None,
    as_json: AsJson = False,
    systems: Annotated[
        str,
        typer.Option(
            metavar="A,B,…",
            help="Of what --list-systems shows; `all` of them; or policies.",
            show_default=f"{','.join(DEFAULT_SYSTEMS)}; on turning {','.join(WATCHING_SYSTEMS)}",
        ),
    ] = "",
    systems_listed: Annotated[
        bool, typer.Option("--list-systems", help="Show the systems that can be compared.")
    ] = False,
    policy: PolicyName = "baseline",
    model: Model = "embedded",
    server: Server = None,
    seed: Seed = 0,
    output: Output = None,
    resume: Resume = True,
    batch: Batch = 16,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Most tokens per answer.",
            show_default="64; what the data set calls for",
        ),
    ] = None,
    graders: Graders = None,
    labels: Labels = None,
    to_label: ToLabel = None,
    fail_if: FailIf = None,
    junit: Junit = None,
    html: Report = None,
    inspect: InspectLog = None,
    cases: Cases = None,
) -> None:
    """Count wrong refusals and wrong answers, unguarded and guarded, side by side.

    DATASET is `scenes`, `unseen` or `turning` (they ship with the package), a published set in the
    layout it is distributed in, or `own`: your own pictures, questions and labels.
    Decoding is greedy.
    """  # fmt: skip
    if listed or systems_listed:
        (print_datasets if listed else print_systems)(as_json=as_json)
        return
    started = time.perf_counter()
    outputs = outputs_of(fail_if, junit=junit, report=html, inspect=inspect, cases=cases)
    check_numbers(batch=batch, seed=seed)
    evaluated = load_policy(policy)
    asked = load_asked(dataset, data, language=language, limit=limit, seed=seed)
    names = systems.split(",") if systems else default_systems(asked)
    compared = systems_for(names, evaluated)
    longest = asked.max_tokens if max_tokens is None else max_tokens
    settings = GenerationSettings(max_new_tokens=longest, temperature=0)
    grading = Grading(graders, labels=labels, to_label=to_label)
    named = f"{model} at {server}" if server else model
    header = run_of(
        asked,
        model=named,
        policies={each.name: each.identity for each in compared},
        batch=batch,
        max_tokens=longest,
    )
    evaluation = Evaluated(asked, compared, evaluated, policy)
    outputs.check(evaluation)
    results = Results(header, path=output, resume=resume)

    status = Console(stderr=True)
    engine = load_engine(model, evaluated, server=server, console=status)
    with progress_bars(status) as bar:
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
        engines = {} if server else {model: engine}
        outcomes = grading.outcomes(
            asked, compared, results, phrases=phrases, engines=engines, bar=bar
        )
    figures = report(asked, compared, results, phrases=phrases, seed=seed, outcomes=outcomes)
    out = {
        "dataset": asked.name,
        "origin": asked.origin,
        "model": named,
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
