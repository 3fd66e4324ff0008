"""What answers and verdicts depend on: a file of another run is not gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guardrail.evaluation.dataset import Dataset
from guardrail.record.version import __version__


def weights_of(model: str) -> list[str]:
    """Returns name, size and time of each file of weights; nothing for a hub id.

    Args:
        model: A folder, an id, or `embedded`.
    """
    from guardrail.embedded import CHECKPOINT

    folder = CHECKPOINT if model == "embedded" else Path(model)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


def run_of(dataset: Dataset, *, model: str, batch: int, **more: Any) -> dict[str, Any]:
    """Returns what is run, as plain JSON: this version, what is asked, and of which weights.

    Args:
        dataset: What is asked.
        model: A folder, an id, or `embedded`.
        batch: How many requests run together.
        **more: What else the answers depend on.
    """
    return {
        "guardrail": __version__,
        "dataset": dataset.name,
        "samples": dataset.digest,
        "model": model,
        "weights": weights_of(model),
        **more,
        "batch": batch,
    }
