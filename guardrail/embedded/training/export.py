"""Writes the checkpoint folder: weights in half precision, processor, generation settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from guardrail.embedded.training.tokenizer import make_processor

LIMIT_BYTES = 25_000_000


def export(model: Any, tokenizer: Any, folder: Path) -> int:
    """Saves a model (left in float16) for `from_pretrained`; returns the weights' size in bytes.

    Raises:
        RuntimeError: The weights are over the size limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=256,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.float16).save_pretrained(folder)
    make_processor(tokenizer).save_pretrained(folder)
    size = (folder / "model.safetensors").stat().st_size
    if size > LIMIT_BYTES:
        raise RuntimeError(f"model.safetensors has {size} bytes, over the limit of {LIMIT_BYTES}")
    return size
