"""What a tiny checkpoint is made of, and the parts that several families share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig, PreTrainedTokenizerFast, ProcessorMixin

HIDDEN = 32
HEADS = 4
LAYERS = 2


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One family: how it is made, and what its processor and model permit.

    Attributes:
        make: Returns the configuration and the processor.
        prompt: Text for a user's words and a number of pictures, where the family has no chat
            template; None where it has one.
        most_pictures: Most pictures in one prompt.
        text_only: Whether a prompt may have no picture.
        decoder_only: False for encoder-decoder families, which the library does not serve.
        padded_batches: Whether a row of a left-padded batch gives the logits it gives alone.
        mixed_batches: Whether that holds too where rows have different numbers of pictures.
        seed: Another draw of the weights, where the first one loops between two tokens.
    """

    make: Callable[[], tuple[PreTrainedConfig, ProcessorMixin]]
    prompt: Callable[[str, int], str] | None = None
    most_pictures: int = 2
    text_only: bool = True
    decoder_only: bool = True
    padded_batches: bool = True
    mixed_batches: bool = True
    seed: int = 0


def decoder(tokenizer: PreTrainedTokenizerFast, model_type: str, **options: Any) -> dict[str, Any]:
    """A Llama-like text configuration for `tokenizer`, as a dict with its `model_type`."""
    return {
        "model_type": model_type,
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "head_dim": HIDDEN // HEADS,
        "max_position_embeddings": 1024,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **options,
    }


def vision(model_type: str, *, image_size: int, patch_size: int, **options: Any) -> dict[str, Any]:
    """A ViT-like vision configuration, as a dict with its `model_type`. Sizes in pixels."""
    return {
        "model_type": model_type,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": image_size,
        "patch_size": patch_size,
        **options,
    }


def square(side: int) -> dict[str, int]:
    """An image processor's size, in pixels."""
    return {"height": side, "width": side}
