"""Small structured test pictures: a gradient, a disc and a bar, placed by a seed."""

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """An RGB picture of `size` (width, height) in pixels; the same seed gives the same pixels."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    channels = [x / width, y / height, (x + y) / (width + height)]
    pixels = np.stack([np.roll(c, int(rng.integers(width)), axis=1) for c in channels], axis=-1)
    cx, cy = rng.uniform(0.2, 0.8, 2) * (width, height)
    disc = (x - cx) ** 2 + (y - cy) ** 2 < (0.25 * min(width, height)) ** 2
    pixels[disc] = rng.uniform(0, 1, 3)
    bar = int(rng.integers(height - 2))
    pixels[bar : bar + 2] = rng.uniform(0, 1, 3)
    return Image.fromarray((pixels * 255).astype(np.uint8), "RGB")
