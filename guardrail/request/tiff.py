"""A TIFF with the fields that are its pixels, and no others."""

from __future__ import annotations

import ctypes
import math
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Literal

from PIL import _imaging

from guardrail.errors import PictureError
from guardrail.request.essence import Essence
from guardrail.request.jpeg import jpeg_essence
from guardrail.request.picture_limits import PictureLimits

MAX_FIELDS = 4096
"""Fields of a directory."""

MAX_PARTS = 65_536
"""Strips or tiles."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_SIZES = 273, 274, 277, 278, 279
_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 284, 322, 323, 324, 325
_PIXELS = frozenset(
    {254, 255, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, 262, 266, _STRIPS, _SAMPLES, _ROWS}
    | {_STRIP_SIZES, _PLANAR, 292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, _TILES}
    | {_TILE_SIZES, 332, 338, 339, 347, 529, 530, 531, 532}
)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_JPEG = 7
# None of these asks for more memory than its pixels take; LZMA and Zstandard do.
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, _JPEG, 8, 32946, 32773})
_Order = Literal["little", "big"]


def tiff_essence(data: bytes, limits: PictureLimits) -> Essence:
    """Returns the TIFF with a directory of its pixels' fields, and how it is to be turned.

    Raises:
        PictureError: It is damaged, too large, has several pages, or is compressed in a way that is
            not accepted; the sentence lacks its subject.
    """
    silence_libtiff()
    order: _Order = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], order) == 43
    wide, head, count_size, entry_size = (8, 16, 8, 20) if big else (4, 8, 2, 12)

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    start = number(8 if big else 4, wide)
    count = number(start, count_size)
    end = start + count_size + entry_size * count
    if count > MAX_FIELDS or start < head or end > len(data):
        raise PictureError("has a directory that is damaged or too large: save it again")
    entries: dict[int, bytes] = {}
    values: dict[int, list[int]] = {}
    for at in range(start + count_size, end, entry_size):
        tag, kind, length = number(at, 2), number(at + 2, 2), number(at + 4, wide)
        if tag in entries or tag not in _PIXELS | {_ORIENTATION} or kind not in _SIZES:
            continue
        if length > max(MAX_PARTS, 3 * 2**16) or length * _SIZES[kind] > len(data):
            raise PictureError(f"has more than {MAX_PARTS:,} strips or tiles: save it again")
        size = _SIZES[kind]
        inline = length * size <= wide
        place = at + 4 + wide if inline else number(at + 4 + wide, wide)
        if tag in _PIXELS:
            entries[tag] = data[at : at + entry_size]
        if kind in (1, 3, 4, 16):
            values[tag] = [number(place + n * size, size) for n in range(length)]
    if number(end, wide):
        raise PictureError(
            "is animated or has several pages: give one frame or page as a picture of its own"
        )
    essence = bytearray(data)
    directory = len(entries).to_bytes(count_size, order)
    directory += b"".join(entries[tag] for tag in sorted(entries)) + bytes(wide)
    essence[start : start + len(directory)] = directory
    turned = (values.get(_ORIENTATION) or [1])[0]
    orientation = turned if 1 <= turned <= 8 else 1
    return _checked(data, bytes(essence), values, orientation, limits)


def _checked(
    data: bytes,
    essence: bytes,
    values: dict[int, list[int]],
    orientation: int,
    limits: PictureLimits,
) -> Essence:
    def first(tag: int, default: int) -> int:
        return (values.get(tag) or [default])[0]

    width, height = first(_WIDTH, 0), first(_HEIGHT, 0)
    limits.check_size(width, height)
    compression = first(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise PictureError(
            f"is a TIFF of compression {compression}, which is not accepted: "
            "save it uncompressed, or with LZW or Deflate"
        )
    bits = max(values.get(_BITS) or [1])
    depth = sum(values.get(_BITS) or [1])
    if len(values.get(_BITS) or [1]) == 1:
        depth *= first(_SAMPLES, 1)
    tiled = _TILES in values
    offsets = values.get(_TILES if tiled else _STRIPS) or []
    sizes = values.get(_TILE_SIZES if tiled else _STRIP_SIZES) or []
    if len(offsets) > MAX_PARTS:
        raise PictureError(f"has more than {MAX_PARTS:,} strips or tiles: save it again")
    wide, high = (first(_TILE_WIDTH, width), first(_TILE_HEIGHT, height)) if tiled else (width, 0)
    rows = high if tiled else min(first(_ROWS, height), height)
    if compression == _JPEG:
        parts = replace(limits, max_aspect=math.inf)  # strips are strips
        for at, size in zip(offsets, sizes, strict=False):
            jpeg_essence(data[at : at + size], parts)
    buffers = wide * rows * depth // 8
    return Essence(essence, orientation, bits, memory=8.0, buffers=buffers)


@cache
def silence_libtiff() -> None:
    """Keeps libtiff from writing to the standard error of whoever loads a picture.

    Pillow offers no way to; what is wrong, its own exceptions say. Where its library is linked so
    that it cannot be reached (Windows), libtiff goes on writing.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
