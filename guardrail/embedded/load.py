"""Loads the embedded model. Imports torch and transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoModelForImageTextToText, AutoProcessor

import guardrail.embedded.tower  # noqa: F401 - registers the vision tower
from guardrail.embedded import CHECKPOINT


def load_embedded(path: Path = CHECKPOINT) -> tuple[Any, Any]:
    """Loads the model in float32, in eval mode, with its processor.

    Args:
        path: Checkpoint folder; the shipped one by default.

    Returns:
        (model, processor), both as transformers' auto classes give them.
    """
    import torch

    processor = AutoProcessor.from_pretrained(path)
    model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
    model.model.vision_tower.to(memory_format=torch.channels_last)
    return model.eval(), processor
