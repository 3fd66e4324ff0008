"""`guardrail calibrate`: a judge's scale and bias, thresholds and steering, from labelled requests.

Everything that can be checked is checked before a model loads; where every verdict is kept already,
none is loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from guardrail.cli.calibrate_fits import kept_answers, steering_fits
from guardrail.cli.calibrate_options import (
    DEFAULT,
    check_numbers,
    guarantee_of,
    kinds_of,
    parse_parts,
    targets_for,
)
from guardrail.cli.calibrate_origin import command_of, run_of
from guardrail.cli.calibrate_view import header_lines, show
from guardrail.cli.model_loading import load_engine
from guardrail.evaluation import DATASETS, Dataset, load_dataset
from guardrail.evaluation.calibration import (
    Calibrated,
    Fit,
    Verdicts,
    ask,
    calibrate,
    evidence_of,
    fits_for,
    labelled,
    promise,
)
from guardrail.evaluation.calibration.writing import (
    check_place,
    check_text,
    policy_text,
    write_text,
)
from guardrail.policy import Policy, load_policy

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

FAILED = 1
"""Exit status when the target cannot be promised: nothing is written."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("calibrate")
def calibrate_policy(
    ctx: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help=f"One of {', '.join(DATASETS)}.")
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND<=RATE",
            help="'wrong_refusals <= 0.02', 'wrong_answers <= 0.05', or both.",
            show_default=False,
        ),
    ] = None,
    fit: Annotated[
        str,
        typer.Option(
            metavar="PARTS",
            help="judge, thresholds, steering (runs the model: contrast, modulation).",
        ),
    ] = DEFAULT,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the data set lies; not needed for scenes.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="The policy that is calibrated.")
    ] = "baseline",
    model: Annotated[
        str, typer.Option(metavar="PATH", help="A model's folder or hub id.")
    ] = "embedded",
    confidence: Annotated[
        float, typer.Option(metavar="P", help="With which each target is kept.")
    ] = 0.95,
    guarantee: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="rate: the true rate is kept; share: that of the other half, too.",
        ),
    ] = "rate",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the policy here; it extends NAME|PATH.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only N pairs, chosen by the seed.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the two parts.")] = 0,
    category: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ID",
            help="The policy's category for one of the data set's; repeat it.",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Also: is the promise kept on N random splits?"),
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep each verdict here, and go on from it next time.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For steering: keep each answer here, and go on from it.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from a FILE, or write it anew.")
    ] = True,
    batch: Annotated[int, typer.Option(metavar="N", help="Requests that run together.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a judge, thresholds to a target, or steering, and write a policy of it.

    One half of the labelled set is fitted, the other only measures. Exits with 1, and writes
    nothing, if there are too few labelled requests for the target.
    """  # fmt: skip
    parts = parse_parts(fit)
    targets = targets_for(target or [], parts, repeat)
    check_numbers(confidence, batch, seed)
    kept = guarantee_of(guarantee)
    original = load_policy(policy)
    kinds = kinds_of(category or [], original)
    if out is not None:
        check_place(out, force=force)
    asked = load_dataset(dataset, data).limited(limit, seed=seed)
    header = run_of(asked, original, model=model, batch=batch)
    verdicts = Verdicts(header, path=output, resume=resume)
    status = Console(stderr=True)
    said = kept_answers(header, answers, resume=resume) if "steering" in parts else None

    @cache
    def engine() -> SafeCoDe:
        return load_engine(None if model == "embedded" else model, original, console=status)

    _ask(engine, asked, original, verdicts, batch=batch, console=status)

    evidence = evidence_of(asked, verdicts)
    offered = fits_for(targets, confidence=confidence, kinds=kinds, guarantee=kept)
    fits = tuple(each for each in offered if each.name in parts)
    with _progress(status) as bar:
        steering: tuple[Fit, ...] = ()
        if said is not None:
            steering = steering_fits(original, evidence, engine, said, batch=batch, bar=bar)
        calibrated, figures = calibrate(
            original,
            evidence,
            (*fits, *steering),
            targets=targets,
            confidence=confidence,
            seed=seed,
        )
    report: dict[str, Any] = {
        "dataset": asked.name,
        "samples": asked.digest,
        "model": model,
        "weights": header["weights"],
        "policy_digest": original.digest,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "command": command_of(ctx),
        "guarantee": kept,
        **figures,
    }
    if repeat:
        with _progress(status) as bar:
            task = bar.add_task("splits", total=repeat)
            report["promise"] = promise(
                original,
                evidence,
                fits,
                targets=targets,
                confidence=confidence,
                repeats=repeat,
                progress=lambda done: bar.advance(task, done),
            )
    if out is not None and not calibrated.failures:
        report |= _written(original, policy, calibrated, report, out)
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        show(Console(highlight=False), report)
    if calibrated.failures:
        for line in calibrated.failures:
            print(f"guardrail: {line}", file=sys.stderr)
        raise typer.Exit(FAILED)


def _ask(
    engine: Callable[[], SafeCoDe],
    dataset: Dataset,
    policy: Policy,
    verdicts: Verdicts,
    *,
    batch: int,
    console: Console,
) -> None:
    samples = labelled(dataset)
    if all(verdicts.get(each.id) is not None for each in samples):
        return
    judge = engine()
    with _progress(console) as bar:
        task = bar.add_task("verdicts", total=len(samples))
        ask(
            judge,
            dataset,
            policy,
            verdicts,
            batch=batch,
            progress=lambda judged: bar.advance(task, judged),
        )


def _written(
    original: Policy, reference: str, calibrated: Calibrated, report: dict[str, Any], out: Path
) -> dict[str, Any]:
    """Writes the policy, and returns what the report says of it."""
    text = policy_text(original, reference, calibrated.changes, out=out, lines=header_lines(report))
    findings = check_text(text, out, calibrated.policy)
    warnings = [str(each) for each in findings if each.level == "warning"]
    write_text(text, out)
    return {"out": str(out), "checks": warnings}


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
