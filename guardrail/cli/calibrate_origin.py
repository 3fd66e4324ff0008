"""Where a calibration comes from: what its verdicts depend on, and the command to repeat it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import typer

from guardrail.evaluation import Dataset
from guardrail.evaluation.calibration import asked_digest
from guardrail.policy import Policy
from guardrail.record.version import __version__


def command_of(ctx: typer.Context) -> str:
    """Returns the command with every option that is not at its default, to be run again."""
    words = ["guardrail", "calibrate", str(ctx.params["dataset"])]
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        if parameter.name == "dataset" or value in (None, [], ()) or value == parameter.default:
            continue
        if isinstance(value, bool):
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [parameter.opts[0], str(each)]
    return shlex.join(words)


def run_of(dataset: Dataset, policy: Policy, *, model: str, batch: int) -> dict[str, Any]:
    """Returns what verdicts depend on; thresholds and targets are no part of it."""
    from guardrail.embedded import CHECKPOINT

    folder = CHECKPOINT if model == "embedded" else Path(model)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return {
        "guardrail": __version__,
        "dataset": dataset.name,
        "samples": dataset.digest,
        "model": model,
        "weights": [_state(each) for each in files],
        "questions": asked_digest(policy),
        "batch": batch,
    }  # fmt: skip


def _state(file: Path) -> str:
    """Returns what tells one state of a file from another."""
    return f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}"
