"""How many tokens a model's context takes, and that a prompt is not longer.

Beyond it a model gives words that mean nothing, or fails in the middle: a judge that reads so much
could say anything. A limit that is not known is not enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from guardrail.errors import MessageError

_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")


def context_length(config: Any) -> int | None:
    """Returns the tokens that a model's context takes, or None where its configuration is silent.

    Args:
        config: A Hugging Face model configuration; the language model's part counts.
    """
    text = config.get_text_config(decoder=True)
    found = (getattr(text, name, None) for name in _NAMES)
    return next((int(n) for n in found if isinstance(n, int) and n > 0), None)


def prompt_lengths(inputs: Mapping[str, Any]) -> list[int]:
    """Returns each row's prompt tokens, padding not counted.

    Args:
        inputs: `input_ids`, (batch, length), and `attention_mask` where rows are padded.
    """
    mask: Tensor | None = inputs.get("attention_mask")
    if mask is None:
        ids: Tensor = inputs["input_ids"]
        return [ids.shape[1]] * len(ids)
    return [int(row.sum()) for row in mask]


def check_length(tokens: int, limit: int | None, *, what: str = "the prompt") -> None:
    """Raises if so many tokens are more than a context takes.

    Args:
        tokens: How many.
        limit: From `context_length`.
        what: Has so many, for the message.

    Raises:
        MessageError: They are too many; it names both lengths.
    """
    if limit is not None and tokens > limit:
        raise MessageError(
            f"{what} has {tokens:,} tokens, more than the {limit:,} that this model's context "
            "takes: shorten the conversation, or show fewer pictures"
        )
