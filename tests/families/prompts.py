"""Encoding a user's words and pictures as each family expects it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from .catalogue import RECIPES
from .checkpoint import build


@dataclass(frozen=True)
class Request:
    """One user turn: pictures first, then words."""

    words: str
    pictures: tuple[Image.Image, ...] = ()

    def messages(self) -> list[dict[str, Any]]:
        """The turn as chat messages."""
        pictures = [{"type": "image", "image": p} for p in self.pictures]
        return [{"role": "user", "content": [*pictures, {"type": "text", "text": self.words}]}]


def encode(
    family: str, requests: Sequence[Request], *, processor: ProcessorMixin | None = None
) -> BatchFeature:
    """Model inputs for a left-padded batch of `requests`, through the chat template if any.

    Uses the family's own processor unless another of its kind is given.
    """
    processor = processor or build(family)[1]
    with warnings.catch_warnings():
        # GLM-4V's and PaliGemma's processors hand tensors to NumPy.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        inputs = _encode(family, processor, requests)
    for name, value in inputs.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            inputs[name] = value.float()  # Llama 4's pictures come in bfloat16
    return inputs


def _encode(family: str, processor: ProcessorMixin, requests: Sequence[Request]) -> BatchFeature:
    if RECIPES[family].prompt is not None:
        return _encode_plain(family, processor, requests)
    return processor.apply_chat_template(
        [r.messages() for r in requests],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, **RECIPES[family].asks},
    )


def _encode_plain(
    family: str, processor: ProcessorMixin, requests: Sequence[Request]
) -> BatchFeature:
    prompt = RECIPES[family].prompt
    assert prompt is not None
    texts = [prompt(r.words, len(r.pictures)) for r in requests]
    if family == "idefics":
        rows = [
            ["User:", *r.pictures, text.removeprefix("User:")]
            for r, text in zip(requests, texts, strict=True)
        ]
        return processor(text=rows, padding=True, return_tensors="pt")
    pictures: Any = [list(r.pictures) for r in requests]
    if not any(pictures):
        pictures = None
    elif RECIPES[family].most_pictures == 1:
        pictures = [p for row in pictures for p in row]
    inputs = processor(
        images=pictures, text=texts, padding=True, return_tensors="pt", **RECIPES[family].asks
    )
    inputs.pop("labels", None)  # PaliGemma's, for training
    return inputs


def last_logits(model: torch.nn.Module, inputs: BatchFeature) -> torch.Tensor:
    """Logits of the last position of one full forward, `(batch, vocab)` float32."""
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs, use_cache=False).logits
    return logits[:, -1].float()
