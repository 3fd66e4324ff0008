"""Any decoded picture to upright 8-bit RGB on white. It knows nothing of files or limits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from guardrail.errors import PictureError

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


def rgb_pixels(image: Image.Image) -> Image.Image:
    """Returns a new RGB image: EXIF orientation applied, transparency over white, 8 bits a channel.

    Args:
        image: A loaded image of any mode; it is not changed.

    Raises:
        PictureError: 32-bit pixels are outside the ranges that have one meaning ([0, 65535] for
            integers, [0, 1] for floats).
    """
    turned = _UPRIGHT.get(_orientation(image))
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        rgb = _from_deep(image)
    elif image.has_transparency_data:
        rgb = _on_white(image.convert("RGBA"))
    else:
        rgb = image.copy() if image.mode == "RGB" else image.convert("RGB")
    if turned is not None:
        rgb = rgb.transpose(turned)
    rgb.info.clear()  # comments, EXIF and profiles are not pixels: nothing downstream may read them
    return rgb


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged metadata must not cost a readable picture
        return 1


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Scales one-channel 16-bit, 32-bit or float pixels to 8 bits; PIL alone would clip them."""
    values = np.asarray(image)  # (height, width)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if image.mode == "F":
        if not (low >= 0.0 and high <= 1.0):
            raise PictureError("has float pixels outside [0, 1]: save it as an 8-bit picture")
        grey = np.round(values * 255.0).astype(np.uint8)
    else:
        if not (low >= 0 and high <= 65535):
            raise PictureError("has integer pixels outside [0, 65535]: save it as 8- or 16-bit")
        grey = (values.astype(np.uint32) >> 8).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey = np.where(values == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")
