"""`guardrail reference`: notes what requests a model was tried on, so that others can be told.

By it a policy with `judge.competence: {evidence: familiar}` knows where a *safe* verdict may
suppress refusals.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from guardrail.backends import REFERENCE_FILE
from guardrail.cli.command_line import command_line
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
    Seed,
    check_numbers,
    load_asked,
)
from guardrail.errors import SettingsError
from guardrail.evaluation.dataset import Sample
from guardrail.evaluation.outfile import check_place, write_out
from guardrail.evaluation.requests import batches, conversation_of
from guardrail.policy import load_policy
from guardrail.record.version import __version__
from guardrail.request.conversation import Conversation

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("reference")
def make_reference(
    context: typer.Context,
    dataset: DatasetName,
    data: Data = None,
    language: Language = "",
    limit: Limit = None,
    model: Model = "embedded",
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help=f"Write it here; {REFERENCE_FILE} beside the model's weights needs no policy.",
        ),
    ] = Path(REFERENCE_FILE),
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    seed: Seed = 0,
    batch: Batch = 16,
    as_json: AsJson = False,
) -> None:
    """Note what requests a model was tried on: the kind on which its verdicts were measured.

    They need no right labels. Where the policy asks whether a request is familiar, only those like
    them may have refusals suppressed.
    """
    check_numbers(batch=batch, seed=seed)
    if out.exists() and not force:
        raise SettingsError(f"--out {str(out)!r} is there already: give another, or --force")
    check_place(out, "--out")
    asked = load_asked(dataset, data, language=language, limit=limit, seed=seed)
    parts = list(batches([each for each in asked if each.side != "blank"], batch))
    status = Console(stderr=True)
    engine = load_engine(model, load_policy("baseline"), console=status)
    from guardrail.judging.reference_fit import fit_reference

    about = {
        "command": command_line(context),
        "data set": f"{asked.name}, samples {asked.digest}",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "guardrail": __version__,
        "model": engine.model_name,
    }
    with progress_bars(status) as bar:
        task = bar.add_task("requests", total=sum(map(len, parts)))
        made = fit_reference(
            engine.backend,
            [partial(_conversations, part) for part in parts],
            about,
            progress=lambda done: bar.advance(task, done),
        )
    write_out(out, made.to_bytes(), "--out")
    report: dict[str, Any] = {
        "out": str(out),
        "requests": sum(map(len, parts)),
        "descriptions": len(made.surprisals),
        "tokens": len(made.token_ids),
        "smallest_p": 1 / (len(made.distances) + 1),
        "about": about,
    }
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        _show(Console(highlight=False), report)


def _conversations(part: list[Sample]) -> list[Conversation]:
    return [conversation_of(each) for each in part]


def _show(console: Console, report: dict[str, Any]) -> None:
    console.print(
        f"{report['requests']} requests, {report['descriptions']} descriptions of their pictures; "
        f"p-values from {report['smallest_p']:.2g} up"
    )
    console.print(f"written: {visible(report['out'])}")
    if Path(report["out"]).name != REFERENCE_FILE:
        console.print(
            "name it in a policy, judge.competence.reference, or lay it beside the model's weights "
            f"as {REFERENCE_FILE}"
        )
