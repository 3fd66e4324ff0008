"""A JPEG without its metadata, and what its scans cost, from its markers alone."""

from __future__ import annotations

import re

from guardrail.errors import PictureError
from guardrail.request.essence import Essence, orientation_in
from guardrail.request.picture_limits import PictureLimits

MAX_SEGMENTS = 8192
"""Segments of a JPEG; a photo has some dozens, a large profile in pieces some hundreds."""

MAX_SCAN_SAMPLES = 1_200_000_000
"""Samples (pixels times components) that all scans of a progressive JPEG may pass over."""

_NEXT = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_ALONE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})  # markers that no length follows
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF, _ADOBE, _JFIF, _COMMENT = 0xE1, 0xEE, 0xE0, 0xFE


def jpeg_essence(data: bytes, limits: PictureLimits) -> Essence:
    """Returns the JPEG without its metadata; of several pictures in one file, the first.

    Raises:
        PictureError: Its size, its segments or its scans are beyond what is accepted; the sentence
            lacks its subject.
    """
    kept, orientation = [data[:2]], 1
    scans = scanned = segments = pixels = 0
    components: dict[int, int] = {}
    coefficients, at = 0.0, 2
    while (found := _NEXT.search(data, at)) is not None:
        marker, start, at = found[1][0], found.end() - 2, found.end()
        segments += 1
        if segments > MAX_SEGMENTS + limits.max_scans:
            raise PictureError(f"has more than {MAX_SEGMENTS:,} segments: save it again")
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            break
        if marker in _ALONE:
            continue
        end = at + max(int.from_bytes(data[at : at + 2], "big"), 2)
        if marker in _FRAMES and not components:
            pixels = _frame(data[at:end], limits, components)
            coefficients = 2.0 * sum(components.values()) / max(components.values(), default=1)
        if marker == 0xDA:
            scans += 1
            scanned += _samples(data[at:end], pixels, components)
            _check_scans(scans, scanned, limits)
            following = _NEXT.search(data, end)
            end = following.start() if following is not None else len(data)
            kept.append(data[start:end])
        elif marker == _EXIF and orientation == 1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = orientation_in(data[at + 2 : end])
        elif not (0xE0 <= marker <= 0xEF or marker == _COMMENT) or _needed(data, marker, at):
            kept.append(data[start:end])
        at = end
    memory = max(8.0, 4.0 + coefficients) if scans > 1 else 8.0
    return Essence(b"".join(kept), orientation, memory=memory)


def _needed(data: bytes, marker: int, at: int) -> bool:
    """Whether a decoder has to know a segment to get the colours right."""
    return (marker == _ADOBE and data[at + 2 : at + 7] == b"Adobe") or (
        marker == _JFIF and data[at + 2 : at + 6] == b"JFIF"
    )


def _frame(segment: bytes, limits: PictureLimits, components: dict[int, int]) -> int:
    """Notes the samples that each component has for a block of pixels; returns the pixels."""
    height = int.from_bytes(segment[3:5], "big")
    width = int.from_bytes(segment[5:7], "big")
    limits.check_size(width, height)
    for each in range(segment[7] if len(segment) > 7 else 0):
        entry = segment[8 + 3 * each : 11 + 3 * each]
        if len(entry) == 3:
            components[entry[0]] = max(1, entry[1] >> 4) * max(1, entry[1] & 15)
    return width * height


def _samples(segment: bytes, pixels: int, components: dict[int, int]) -> int:
    listed = segment[3 : 3 + 2 * (segment[2] if len(segment) > 2 else 0) : 2]
    most = max(components.values(), default=1)
    return sum(pixels * components.get(each, most) // most for each in set(listed))


def _check_scans(scans: int, scanned: int, limits: PictureLimits) -> None:
    if scans > limits.max_scans:
        raise PictureError(
            f"has more than {limits.max_scans} scans, each a pass over all its pixels: "
            "save it again as a baseline JPEG"
        )
    if scans > 4 and scanned > MAX_SCAN_SAMPLES:
        raise PictureError(
            f"takes {scans} passes or more over its pixels, too many for its size: "
            "save it again as a baseline JPEG, or scale it down"
        )
