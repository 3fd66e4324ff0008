"""Small copies of pictures, as text that a page or a log can hold. Nothing of a file but its pixels
goes into them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from guardrail.errors import PictureError
from guardrail.request.pictures import load_picture

MOST_PIXELS = 256
"""On the longer edge."""


def thumbnail(path: Path | None, *, most: int = MOST_PIXELS) -> str | None:
    """Returns a picture as a data URI of a JPEG, or None if there is none, or it cannot be read.

    Args:
        path: The picture's file.
        most: Pixels on the longer edge; smaller pictures keep their size.
    """
    if path is None:
        return None
    try:
        image = load_picture(path).image.copy()
    except PictureError:
        return None
    image.thumbnail((most, most))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
