"""What a tiny checkpoint is made of, and the parts that several families share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import transformers
from packaging.version import Version
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
        prefix: What of a prompt can be run before the rest: `shared` by the answer and its judge;
            run in parts, but the judge needs a prompt of its own (`apart`); or the `whole` prompt
            at once, where it attends both ways, or pictures read the text.
        rewinds: Whether the family's caches can go back: no recurrence, no full sliding window, no
            cross-attention.
        tools: Whether its chat template shows tools.
        asks: What its processor must be asked for, beside text and pictures.
        model_type: The family's type, where the recipe goes by another name.
        since: The oldest minor version of transformers on which it was seen to pass, where that is
            newer than the library's floor.
        needs: Packages beyond the `test` extra without which its processor cannot be made.
        seed: Another draw of the weights, where the first one loops between two tokens.
    """

    make: Callable[[], tuple[PreTrainedConfig, ProcessorMixin]]
    prompt: Callable[[str, int], str] | None = None
    most_pictures: int = 2
    text_only: bool = True
    decoder_only: bool = True
    padded_batches: bool = True
    mixed_batches: bool = True
    prefix: Literal["shared", "apart", "whole"] = "shared"
    rewinds: bool = True
    tools: bool = False
    asks: Mapping[str, Any] = field(default_factory=dict)
    model_type: str | None = None
    since: str | None = None
    needs: tuple[str, ...] = ()
    seed: int = 0

    @property
    def runs_here(self) -> bool:
        """Whether the installed transformers is new enough."""
        return self.since is None or Version(transformers.__version__) >= Version(self.since)

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages it needs that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)


def needed_by(name: str) -> tuple[str, ...]:
    """The packages without which this transformers gives no class of that `name`.

    For processors that older versions had with torchvision only.
    """
    try:
        backends = getattr(transformers, name)._backends
    except ImportError:  # the processor's module itself needs it
        return ("torchvision",)
    except AttributeError:
        return ()
    return tuple(each for each in backends if each in ("torchvision", "timm"))


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
        "max_position_embeddings": 2048,
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
