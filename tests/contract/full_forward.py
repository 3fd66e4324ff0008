"""The oracle: next-token logits by one full forward of the family's own model, without a cache."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_REPEATED = ("cross_attention_mask", "image_attention_mask")
"""Masks in which a new token sees the pictures that the token before it sees."""


@torch.no_grad()
def full_logits(model: Any, inputs: Mapping[str, Any], tokens: Tensor) -> Tensor:
    """Logits after the prompt and after each of `tokens`.

    Args:
        model: The whole model, as it was built.
        inputs: Processor outputs, batch of one.
        tokens: (count,) int64, appended to the prompt.

    Returns:
        (count + 1, vocabulary) float32.
    """
    count, length = len(tokens), inputs["input_ids"].shape[1]
    extended = dict(inputs)
    for name, value in inputs.items():
        if not isinstance(value, Tensor) or value.dim() < 2 or value.shape[1] != length:
            continue
        if name == "input_ids":
            more = tokens[None]
        elif name in _REPEATED:
            more = value[:, -1:].expand(-1, count, *value.shape[2:])
        elif name == "attention_mask" or _is_prefix_model(model, name):
            more = value.new_ones(1, count)
        elif name.endswith(("token_type_ids", "position_mask")):
            more = value.new_zeros(1, count)
        else:
            continue
        extended[name] = torch.cat([value, more], dim=1)
    logits = model(**extended, use_cache=False).logits[0]
    return logits[len(logits) - count - 1 :].float()


def _is_prefix_model(model: Any, name: str) -> bool:
    # PaliGemma's type 0 is the prompt, which attends to itself in both directions.
    return model.config.model_type == "paligemma" and name == "token_type_ids"
