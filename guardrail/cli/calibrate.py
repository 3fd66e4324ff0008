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

from guardrail.cli.calibrate_fits import kept_answers, steering_fits
from guardrail.cli.calibrate_options import (
    DEFAULT,
    check_confidence,
    guarantee_of,
    kinds_of,
    parse_parts,
    targets_for,
    unseen_for,
)
from guardrail.cli.calibrate_view import header_lines, show
from guardrail.cli.command_line import command_line
from guardrail.cli.model_loading import load_engine
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
    check_numbers,
    load_asked,
)
from guardrail.evaluation import Dataset
from guardrail.evaluation.calibration import (
    Calibrated,
    Fit,
    JudgeContrastFit,
    Verdicts,
    ask,
    asked_digest,
    asked_of,
    calibrate,
    evidence_of,
    fits_for,
    promise,
)
from guardrail.evaluation.calibration.writing import (
    check_place,
    check_text,
    policy_text,
    write_text,
)
from guardrail.evaluation.provenance import run_of
from guardrail.policy import Policy, load_policy

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

FAILED = 1
"""Exit status when the target cannot be promised: nothing is written."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("calibrate")
def calibrate_policy(
    context: typer.Context,
    dataset: DatasetName,
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
            help="judge-contrast, judge, thresholds, steering (runs the model).",
        ),
    ] = DEFAULT,
    data: Data = None,
    language: Language = "",
    limit: Limit = None,
    policy: PolicyName = "baseline",
    model: Model = "embedded",
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
    seed: Seed = 0,
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
    output: Output = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For steering: keep each answer here, and go on from it.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = True,
    batch: Batch = 16,
    as_json: AsJson = False,
) -> None:
    """Fit a judge, thresholds to a target, or steering, and write a policy of it.

    One half of the labelled set is fitted, the other only measures. Exits with 1, and writes
    nothing, if there are too few labelled requests for the target.
    """  # fmt: skip
    parts = parse_parts(fit)
    targets = targets_for(target or [], parts, repeat)
    check_confidence(confidence)
    check_numbers(batch=batch, seed=seed)
    kept = guarantee_of(guarantee)
    original = load_policy(policy)
    kinds = kinds_of(category or [], original)
    if out is not None:
        check_place(out, force=force)
    asked = load_asked(dataset, data, language=language, limit=limit, seed=seed)
    header = run_of(asked, model=model, questions=asked_digest(original), batch=batch)
    verdicts = Verdicts(header, path=output, resume=resume)
    status = Console(stderr=True)
    said = kept_answers(header, answers, resume=resume) if "steering" in parts else None

    @cache
    def engine() -> SafeCoDe:
        return load_engine(model, original, console=status)

    unseen = unseen_for(parts, original)
    _ask(engine, asked, original, verdicts, batch=batch, unseen=unseen, console=status)

    evidence = evidence_of(asked, verdicts, unseen=unseen)
    offered = fits_for(targets, confidence=confidence, kinds=kinds, guarantee=kept)
    fits = tuple(each for each in (JudgeContrastFit(), *offered) if each.name in parts)
    with progress_bars(status) as bar:
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
        "origin": asked.origin,
        "samples": asked.digest,
        "model": model,
        "weights": header["weights"],
        "policy_digest": original.digest,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "command": command_line(context),
        "guarantee": kept,
        **figures,
    }
    if repeat:
        with progress_bars(status) as bar:
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
    unseen: bool,
    console: Console,
) -> None:
    looks = [
        (each.id, grey)
        for grey in ((False, True) if unseen else (False,))
        for each in asked_of(dataset, unseen=grey)
    ]
    if all(verdicts.get(sample, unseen=grey) is not None for sample, grey in looks):
        return
    judge = engine()
    with progress_bars(console) as bar:
        task = bar.add_task("verdicts", total=len(looks))
        ask(
            judge,
            dataset,
            policy,
            verdicts,
            batch=batch,
            unseen=unseen,
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
