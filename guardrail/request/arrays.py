"""NumPy arrays as pictures: height, width, and channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.picture_limits import PictureLimits
from guardrail.request.pixels import eight_bits, unit_floats

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def array_image(array: NDArray[Any], limits: PictureLimits) -> Image.Image:
    """Returns an array as an 8-bit image.

    Args:
        array: `(height, width)`, or `(height, width, channels)` of 1 to 4 channels: integers of 8
            or 16 bits, booleans, or floats from 0 to 1. It is not changed.
        limits: What is accepted.

    Raises:
        PictureError: It has another shape or type, or its range is unknown; the sentence lacks its
            subject.
    """
    shape = array.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in _MODES):
        raise PictureError(
            f"has the shape {shape!r}, expected (height, width), or (height, width, channels) of "
            "1 to 4 channels"
        )
    limits.check_size(shape[1], shape[0])
    limits.check_memory(int(np.prod(shape)) * 8)
    kind = array.dtype.kind
    if kind == "b":
        pixels = np.where(array, np.uint8(255), np.uint8(0))
    elif array.dtype == np.uint8:
        pixels = array
    elif kind in "iu":
        pixels = eight_bits(array, 65535, declared=False)
    elif kind == "f":
        pixels = unit_floats(array)
    else:
        raise PictureError(f"is of type {array.dtype.name}, expected numbers: give 8-bit pixels")
    if len(shape) == 3 and shape[2] == 1:
        pixels = pixels[:, :, 0]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = np.ascontiguousarray(pixels).tobytes()
    return Image.frombytes(_MODES[channels], (shape[1], shape[0]), data)
