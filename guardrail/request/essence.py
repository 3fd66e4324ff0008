"""What is left of an encoded picture once everything that is no pixel has been taken out."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ENTRIES = 4096
"""Entries of a directory that are looked at."""

_ORIENTATION = 0x0112
_INTEGERS = {1: 1, 3: 2, 4: 4}


@dataclass(frozen=True)
class Essence:
    """A picture without its metadata: comments, profiles, previews.

    They are no pixels; the decoders' own readers of them take time and room without bound, refuse
    readable pictures, and warn.

    Attributes:
        encoded: What a decoder is given.
        orientation: How the pixels are to be turned, as in EXIF.
        bits: Depth of a channel, as the file declares it.
        memory: What decoding takes, in bytes a pixel.
        buffers: What it takes beside that, in bytes.
    """

    encoded: bytes
    orientation: int = 1
    bits: int = 8
    memory: float = 8.0
    buffers: int = 0


def orientation_in(exif: bytes) -> int:
    """Returns the orientation that EXIF data tells, 1 to 8; 1 where it is missing or damaged."""
    start = 6 if exif[:6] == b"Exif\0\0" else 0
    order = {b"II": "little", b"MM": "big"}.get(exif[start : start + 2])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[start + at : start + at + size], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for entry in range(min(number(directory, 2), MAX_ENTRIES)):
        at = directory + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION:
            size = _INTEGERS.get(number(at + 2, 2), 0)
            found = number(at + 8, size) if number(at + 4, 4) == 1 else 1
            return found if 1 <= found <= 8 else 1
    return 1
