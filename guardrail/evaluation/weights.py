"""What tells one state of a local model's files from another."""

from __future__ import annotations

from pathlib import Path


def weights_of(model: str) -> list[str]:
    """Returns name, size and time of each file of weights; nothing for a hub id.

    Args:
        model: A folder, an id, or `embedded`.
    """
    from guardrail.embedded import CHECKPOINT

    folder = CHECKPOINT if model == "embedded" else Path(model)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
