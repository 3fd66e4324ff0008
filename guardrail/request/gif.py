"""A GIF without its metadata: its screen, its palette, its one picture."""

from __future__ import annotations

from guardrail.errors import PictureError
from guardrail.request.essence import Essence
from guardrail.request.picture_limits import PictureLimits

MAX_BLOCKS = 400_000
"""Blocks of a GIF; a full one holds 255 bytes."""

_CONTROL = 0xF9


def gif_essence(data: bytes, limits: PictureLimits) -> Essence:
    """Returns the GIF up to the end of its picture, with no extension but the transparent colour.

    Raises:
        PictureError: It is too large, animated, or of too many blocks; the sentence lacks its
            subject.
    """
    width, height = (int.from_bytes(data[n : n + 2], "little") for n in (6, 8))
    at = 13 + _palette(data, 10)
    kept, picture, budget = [data[:at]], False, MAX_BLOCKS
    while at < len(data) and data[at] != 0x3B:
        start = at
        budget -= 1
        if data[at] == 0x21:
            at, budget = _blocks_end(data, at + 2, budget)
            if data[start + 1 : start + 2] == bytes([_CONTROL]):
                kept.append(data[start:at])
        elif data[at] == 0x2C:
            if picture:
                raise PictureError(
                    "is animated or has several pages: "
                    "give one frame or page as a picture of its own"
                )
            picture = True
            left, top, wide, high = (
                int.from_bytes(data[at + n : at + n + 2], "little") for n in (1, 3, 5, 7)
            )
            width, height = max(width, left + wide), max(height, top + high)
            limits.check_size(width, height)
            at, budget = _blocks_end(data, at + 11 + _palette(data, at + 9), budget)
            kept.append(data[start:at])
        else:
            at += 1  # Pillow steps over what is no block
        if budget < 0:
            raise PictureError(f"has more than {MAX_BLOCKS:,} blocks: save it again")
    limits.check_size(width, height)
    return Essence(b"".join(kept) + (b";" if at < len(data) else b""), memory=12.0)


def _palette(data: bytes, at: int) -> int:
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes, at: int, budget: int) -> tuple[int, int]:
    """Returns where the blocks that begin at `at` end, and what is left of the budget."""
    while at < len(data) and budget >= 0:
        size = data[at]
        at += 1 + size
        budget -= 1
        if size == 0:
            break
    return min(at, len(data)), budget
