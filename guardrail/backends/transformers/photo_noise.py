"""Noise on the photograph itself, before a processor resizes it: only for comparison.

A large photograph averages such noise away when it is resized, which is why the engine's own noise
is added at the model's input (`noise`).

Source: the code released with SafeCoDe (github.com/franciscoliu/SafeCoDe at 4d2ca1b): Gaussian
noise on pixels in [0, 1], cut off at both ends, rounded to 8 bits. There its randomness is the
process's; here it is a function of the pixels, as everywhere in this package.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from PIL import Image

from guardrail.request.conversation import Conversation, Part, Picture


def with_noised_photographs(
    conversation: Conversation, *, noise_std: float, seed: int = 0
) -> Conversation:
    """Returns a conversation whose pictures carry Gaussian noise; nothing is changed in place.

    Args:
        conversation: Any.
        noise_std: Standard deviation in [0, 1] pixel units.
        seed: Mixed into every picture's own seed.

    Raises:
        ValueError: `noise_std` is negative or above 1.
    """
    if not 0 <= noise_std <= 1:
        raise ValueError(f"noise_std is {noise_std}, expected a number in [0, 1] pixel units")

    def shown(part: Part) -> Part:
        if isinstance(part, str):
            return part
        image = noised_photograph(part.image, noise_std=noise_std, seed=seed)
        return Picture(image, f"noised {part.digest}")

    turns = tuple(replace(t, parts=tuple(map(shown, t.parts))) for t in conversation.turns)
    return replace(conversation, turns=turns)


def noised_photograph(image: Image.Image, *, noise_std: float, seed: int = 0) -> Image.Image:
    """Returns a noised copy of an RGB picture, of the same size.

    Args:
        image: 8 bits a channel.
        noise_std: Standard deviation in [0, 1] pixel units; 0 returns an equal picture.
        seed: Mixed into the seed that the pixels themselves give.
    """
    pixels = np.asarray(image.convert("RGB"))  # (height, width, 3) uint8
    key = seed.to_bytes(8, "big")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8, key=key).digest()
    drawn = np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(pixels.shape)
    noised = np.clip(pixels / 255 + noise_std * drawn, 0, 1)
    return Image.fromarray((noised * 255).round().astype(np.uint8))
