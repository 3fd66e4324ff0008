"""A request with other pictures in the place of its own, at the size at which they were given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation, Part, Picture

GREY = (127, 127, 127)


def shown_otherwise(
    conversation: Conversation, kind: Counterfactual, *, noise_std: float, seed: int = 0
) -> Conversation:
    """Returns a conversation whose pictures are others; nothing is changed in place.

    Args:
        conversation: Any.
        kind: With noise, grey, or of their own mean colour.
        noise_std: Standard deviation of the noise, in [0, 1] pixel units.
        seed: Mixed into each picture's own seed.

    Raises:
        ValueError: `noise_std` is negative or above 1.
    """
    changes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "grey": lambda image: Image.new("RGB", image.size, GREY),
        "mean": _of_mean_colour,
    }
    change = changes.get(kind, lambda image: noised(image, noise_std=noise_std, seed=seed))

    def shown(part: Part) -> Part:
        if isinstance(part, str):
            return part
        return Picture(change(part.image), f"{kind} {part.digest}")

    turns = tuple(replace(t, parts=tuple(map(shown, t.parts))) for t in conversation.turns)
    return replace(conversation, turns=turns)


def _of_mean_colour(image: Image.Image) -> Image.Image:
    mean = np.asarray(image.convert("RGB"), np.float64).mean((0, 1)).round().astype(int)
    return Image.new("RGB", image.size, tuple(int(each) for each in mean))


def noised(image: Image.Image, *, noise_std: float, seed: int = 0) -> Image.Image:
    """Returns a copy of an RGB picture with Gaussian noise, cut off and rounded to 8 bits.

    Args:
        image: 8 bits a channel.
        noise_std: Standard deviation in [0, 1] pixel units; 0 returns an equal picture.
        seed: Mixed into the seed that the pixels themselves give.

    Raises:
        ValueError: `noise_std` is negative or above 1.

    Source: the code released with SafeCoDe (github.com/franciscoliu/SafeCoDe at 4d2ca1b) adds it
    alike, with randomness of the process's.
    """
    if not 0 <= noise_std <= 1:
        raise ValueError(f"noise_std is {noise_std}, expected a number in [0, 1] pixel units")
    pixels = np.asarray(image.convert("RGB"))  # (height, width, 3) uint8
    key = seed.to_bytes(8, "big")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8, key=key).digest()
    drawn = np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(pixels.shape)
    found = np.clip(pixels / 255 + noise_std * drawn, 0, 1)
    return Image.fromarray((found * 255).round().astype(np.uint8))
