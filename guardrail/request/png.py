"""A PNG without its metadata."""

from __future__ import annotations

import zlib

from guardrail.errors import PictureError
from guardrail.request.essence import Essence, orientation_in
from guardrail.request.picture_limits import PictureLimits

MAX_CHUNKS = 65_536
"""Chunks of a PNG; encoders make them of 8 KiB or more."""

_SIGNATURE = 8
_LOSSY_DEPTHS = (2, 4, 6)  # colour types of which Pillow keeps the upper 8 of 16 bits


def png_essence(data: bytes, limits: PictureLimits) -> Essence:
    """Returns the PNG with the chunks that are pixels: the critical ones, and what is transparent.

    As in other readers of PNG, an ancillary chunk that is damaged does not count.

    Raises:
        PictureError: It is too large, animated, or of too many chunks; the sentence lacks its
            subject.
    """
    kept, orientation, bits, at, chunks = [data[:_SIGNATURE]], 1, 8, _SIGNATURE, 0
    while at + 8 <= len(data):
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise PictureError(f"has more than {MAX_CHUNKS:,} chunks: save it again")
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        body = memoryview(data)[at + 8 : end - 4]
        if name == b"IHDR" and len(kept) == 1:
            width, height = (int.from_bytes(body[n : n + 4], "big") for n in (0, 4))
            limits.check_size(width, height)
            bits = body[8] if len(body) > 9 and (body[9] in _LOSSY_DEPTHS or body[8] == 16) else 8
        ancillary = bool(name[:1] and name[0] & 0x20)
        if not ancillary:
            kept.append(data[at:end])
        elif name in (b"tRNS", b"eXIf", b"acTL") and _is_whole(data, at, end):
            if name == b"acTL" and int.from_bytes(body[:4], "big") > 1:
                raise PictureError(
                    "is animated or has several pages: "
                    "give one frame or page as a picture of its own"
                )
            if name == b"eXIf":
                orientation = orientation_in(bytes(body))
            if name == b"tRNS":
                kept.append(data[at:end])
        at = end
        if name == b"IEND":
            break
    return Essence(b"".join(kept), orientation, bits)


def _is_whole(data: bytes, at: int, end: int) -> bool:
    if end > len(data):
        return False
    checked = zlib.crc32(memoryview(data)[at + 4 : end - 4])
    return checked == int.from_bytes(data[end - 4 : end], "big")
