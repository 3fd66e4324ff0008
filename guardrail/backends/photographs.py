"""Photographs made into others before any processor resizes them: with noise, grey, of one colour.

A large photograph averages such noise away when it is resized, which is why a model in this process
has its noise added at its own input. A model behind a server can be shown nothing else.

Source: the code released with SafeCoDe (github.com/franciscoliu/SafeCoDe at 4d2ca1b): Gaussian
noise on pixels in [0, 1], cut off at both ends, rounded to 8 bits. There its randomness is the
process's; here it is a function of the pixels, as everywhere in this package.
"""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
from PIL import Image

from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation
from guardrail.request.other_pictures import Change, greyed, with_other_pictures


def shown_otherwise(
    conversation: Conversation, kind: Counterfactual, *, noise_std: float, seed: int = 0
) -> Conversation:
    """Returns a conversation with counterfactual photographs; nothing is changed in place.

    Args:
        conversation: Any.
        kind: Grey, of their own mean colour, or with noise on the photograph (both kinds of it).
        noise_std: Standard deviation in [0, 1] pixel units.
        seed: Mixed into every picture's own seed.

    Raises:
        ValueError: `noise_std` is negative or above 1.
    """
    if not 0 <= noise_std <= 1:
        raise ValueError(f"noise_std is {noise_std}, expected a number in [0, 1] pixel units")
    noised: Change = partial(noised_photograph, noise_std=noise_std, seed=seed)
    change: Change = {"grey": greyed, "mean": _of_mean_colour}.get(kind, noised)
    return with_other_pictures(conversation, change, named=kind)


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


def _of_mean_colour(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image.convert("RGB"), np.float64)  # (height, width, 3)
    red, green, blue = (int(each) for each in pixels.mean((0, 1)).round())
    return Image.new("RGB", image.size, (red, green, blue))
