"""PBM, PGM and PPM pictures, read here: Pillow reads comments and odd depths a byte at a time."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.picture_limits import Deadline, PictureLimits
from guardrail.request.pixels import eight_bits

MAX_HEADER_BYTES = 64 * 1024
"""Bytes of the header, its comments among them."""

MAX_PLAIN_BYTES = 8 * 1024 * 1024
"""Bytes of a picture whose values are written out as text."""

_TOKEN = re.compile(rb"(?:[ \t\r\n\v\f]+|#[^\r\n]*[\r\n])*([^ \t\r\n\v\f#]{1,10})")
_COMMENT = re.compile(rb"#[^\r\n]*")
_BLOCK = 1024 * 1024
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}
_HEADER = (
    f"has a header that is damaged or larger than {MAX_HEADER_BYTES // 1024} KiB: save it again"
)
_DAMAGED = "is truncated or damaged: save or download it again"


def is_netpbm(data: bytes) -> bool:
    """Whether these are the first bytes of a picture that is read here."""
    return data[:2] in _CHANNELS and data[2:3] in (*map(bytes, zip(b" \t\r\n\v\f")), b"#")


def check_header(data: bytes) -> None:
    """Refuses the header of a relative of these formats, for which Pillow reads on without end.

    Raises:
        PictureError: Its size and scale do not come soon; the sentence lacks its subject.
    """
    header, at = data[:MAX_HEADER_BYTES], 2
    for _ in range(3):
        found = _TOKEN.match(header, at)
        if found is None:
            raise PictureError(_HEADER)
        at = found.end()


def netpbm_image(data: bytes, limits: PictureLimits, deadline: Deadline) -> Image.Image:
    """Returns the picture, scaled from its declared largest value to 8 bits.

    Raises:
        PictureError: It is damaged or too large; the sentence lacks its subject.
    """
    magic, header, at = data[:2], data[:MAX_HEADER_BYTES], 2
    numbers: list[int] = []
    for _ in range(2 if magic in (b"P1", b"P4") else 3):
        found = _TOKEN.match(header, at)
        if found is None or not found[1].isdigit():
            raise PictureError(_HEADER)
        numbers.append(int(found[1]))
        at = found.end()
    width, height, largest = (*numbers, 1)[:3]
    limits.check_size(width, height)
    if not 0 < largest < 65536:
        raise PictureError(f"has {largest} for its largest value, expected 1 to 65535")
    channels = _CHANNELS[magic]
    limits.check_memory(width * height * (4 + 4 * channels))
    shape = (height, width) if channels == 1 else (height, width, channels)
    values: NDArray[Any]
    if magic in (b"P1", b"P2", b"P3"):
        values = _plain(data[at:], width * height * channels, magic == b"P1", deadline)
    elif magic == b"P4":
        rows = np.frombuffer(_exactly(data, at + 1, (width + 7) // 8 * height), np.uint8)
        bits = np.unpackbits(rows.reshape(height, -1), axis=1)  # (height, width and padding)
        values = bits[:, :width]
    else:
        kind = np.dtype(np.uint8) if largest < 256 else np.dtype(">u2")
        size = width * height * channels * kind.itemsize
        values = np.frombuffer(_exactly(data, at + 1, size), kind)
    values = values.reshape(shape)
    if magic in (b"P1", b"P4"):
        return Image.fromarray(np.where(values, np.uint8(0), np.uint8(255)))
    if largest == 255 and values.dtype == np.uint8:
        return Image.fromarray(np.minimum(values, np.uint8(255)))
    return Image.fromarray(eight_bits(values, largest, declared=largest != 65535))


def _exactly(data: bytes, at: int, size: int) -> memoryview:
    if at + size > len(data):
        raise PictureError(_DAMAGED)
    return memoryview(data)[at : at + size]


def _plain(text: bytes, count: int, bitonal: bool, deadline: Deadline) -> NDArray[np.uint16]:
    if len(text) > MAX_PLAIN_BYTES:
        raise PictureError(
            f"has values written out as text, more than {MAX_PLAIN_BYTES // 2**20} MiB of it: "
            "save it as PNG"
        )
    text = _COMMENT.sub(b" ", text)
    values = np.zeros(count, np.uint16)
    if bitonal:  # the digits may stand without a space between them
        digits = np.frombuffer(text.translate(None, b" \t\r\n\v\f")[:count], np.uint8)
        if len(digits) < count or not np.isin(digits, (48, 49)).all():
            raise PictureError(_DAMAGED)
        return (digits - 48).astype(np.uint16)
    done = at = 0
    while done < count and at < len(text):
        deadline.check()
        end = at + _BLOCK
        while end < len(text) and not text[end : end + 1].isspace():
            end += 1
            if end > at + _BLOCK + 10:
                raise PictureError(_DAMAGED)
        tokens = text[at:end].split()[: count - done]
        try:
            values[done : done + len(tokens)] = np.fromiter(map(int, tokens), np.uint16)
        except (ValueError, OverflowError):
            raise PictureError(_DAMAGED) from None
        done, at = done + len(tokens), end
    if done < count:
        raise PictureError(_DAMAGED)
    return values
