"""Any decoded picture to upright 8-bit RGB on white. It knows nothing of files or limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.essence import orientation_in

BAND_ROWS = 256
"""Rows that are converted at a time, so that no step takes room for a second whole picture."""

AMBIGUOUS_BITS = 14
"""Where 16 bits are declared, values that fill no more than these may be of any depth."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def rgb_pixels(
    image: Image.Image,
    *,
    orientation: int | None = None,
    bits: int = 8,
    owned: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Image.Image:
    """Returns an RGB image: orientation applied, transparency over white, 8 bits a channel.

    Args:
        image: A loaded image of any mode.
        orientation: As in EXIF; what the image itself says if None.
        bits: Depth of a channel in the file, where the decoder may have kept the upper 8.
        owned: Whether the image may be returned, or changed; else it is left as it is.
        check: Called now and then; what it raises ends the conversion.

    Raises:
        PictureError: The range of its pixels is unknown: integers of 16 bits or more that use a
            small part of it, or are outside [0, 65535]; floats outside [0, 1].
    """
    turned = _UPRIGHT.get(_orientation(image) if orientation is None else orientation)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        rgb = _from_deep(image, bits, check)
    else:
        if bits > 8:
            _check_upper_bits(image, bits)
        if image.has_transparency_data:
            rgb = _on_white(image, check)
        elif image.mode == "RGB":
            rgb = image if owned else image.copy()
        else:
            rgb = image.convert("RGB")
    check()
    if turned is not None:
        rgb = rgb.transpose(turned)
    rgb.info.clear()  # comments, EXIF and profiles are not pixels: nothing downstream may read them
    return rgb


def eight_bits(values: NDArray[Any], largest: int, *, declared: bool) -> NDArray[np.uint8]:
    """Returns integers scaled to 8 bits.

    Args:
        values: Any shape; they are not changed.
        largest: What is white.
        declared: Whether that is said somewhere, or only what the type can hold.

    Raises:
        PictureError: They are outside [0, `largest`], or nobody knows what they mean.
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    check_range(low, high, largest, declared=declared)
    return _scaled(values, largest)


def check_range(low: int, high: int, largest: int, *, declared: bool) -> None:
    """Refuses integers of which nobody knows what is white.

    Args:
        low: The smallest.
        high: The largest.
        largest: What is white.
        declared: Whether that is said somewhere, or only what the type can hold.

    Raises:
        PictureError: They are outside [0, `largest`], or use a small part of what is not declared.
    """
    if low < 0 or high > largest:
        raise PictureError(f"has integer pixels outside [0, {largest}]: save it as 8- or 16-bit")
    if not declared and 0 < high < 2**AMBIGUOUS_BITS:
        raise PictureError(
            f"has integer pixels of up to {high}, of {largest}: whether that is dark or of fewer "
            "bits, nothing tells; scale the pixels to 8 bits"
        )


def _scaled(values: NDArray[Any], largest: int) -> NDArray[np.uint8]:
    scaled = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), BAND_ROWS):
        band = values[row : row + BAND_ROWS]
        if largest == 65535:
            scaled[row : row + BAND_ROWS] = band >> 8
        else:
            wide = band.astype(np.uint32)
            scaled[row : row + BAND_ROWS] = (wide * 255 + largest // 2) // largest
    return scaled


def _orientation(image: Image.Image) -> int:
    try:
        # What the caller has read already, and may have changed; Pillow warns while it reads.
        known = getattr(image, "_exif", None) or getattr(image, "tag_v2", None)
        if known:
            return int(known.get(_ORIENTATION_TAG, 1))
        held = image.info.get("exif")
        return orientation_in(held) if isinstance(held, bytes) else 1
    except Exception:  # damaged metadata must not cost a readable picture
        return 1


def _on_white(image: Image.Image, check: Callable[[], None]) -> Image.Image:
    rgb = Image.new("RGB", image.size, "white")
    for top in range(0, image.height, BAND_ROWS):
        check()
        box = (0, top, image.width, min(top + BAND_ROWS, image.height))
        band = image.crop(box)
        if "transparency" in image.info:
            band.info["transparency"] = image.info["transparency"]
        rgba = band.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        rgb.paste(Image.alpha_composite(white, rgba).convert("RGB"), box)
    return rgb


def _check_upper_bits(image: Image.Image, bits: int) -> None:
    """Of 16 bits a decoder keeps the upper 8: data of fewer bits would be black, or nearly so."""
    ranges = image.getextrema()
    bands = ranges if isinstance(ranges[0], tuple) else (ranges,)
    colours = bands[: -1 if image.mode in ("RGBA", "LA", "PA") else None]
    high = max(int(band[1]) for band in colours)
    if high < 2 ** (AMBIGUOUS_BITS - 8):
        raise PictureError(
            f"has {bits}-bit pixels that use the lowest part of their range: whether that is "
            "dark or of fewer bits, nothing tells; scale the pixels to 8 bits"
        )


def _from_deep(image: Image.Image, bits: int, check: Callable[[], None]) -> Image.Image:
    """Scales one-channel 16-bit, 32-bit or float pixels to 8 bits; PIL alone would clip them."""
    declared = 8 < bits < 16
    largest = 2**bits - 1 if declared else 65535
    if image.mode != "F":
        low, high = image.getextrema()
        check_range(int(low), int(high), largest, declared=declared)  # type: ignore[arg-type]
    clear = image.info.get("transparency")
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        check()
        box = (0, top, image.width, min(top + BAND_ROWS, image.height))
        values = np.asarray(image.crop(box))  # (rows, width)
        grey = unit_floats(values) if image.mode == "F" else _scaled(values, largest)
        if isinstance(clear, int):
            grey = np.where(values == clear, np.uint8(255), grey)
        rgb.paste(Image.fromarray(grey), box)
    return rgb


def unit_floats(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns floats from 0 to 1 scaled to 8 bits.

    Raises:
        PictureError: They are outside.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0.0 and high <= 1.0):
        raise PictureError("has float pixels outside [0, 1]: save it as an 8-bit picture")
    scaled = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), BAND_ROWS):
        scaled[row : row + BAND_ROWS] = np.round(values[row : row + BAND_ROWS] * 255.0)
    return scaled
