"""Damaged pictures, by number: the same number is the same picture for ever."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Iterator

from tests.fuzz.bombs import as_text, seeds

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def mutations(first: int, count: int) -> Iterator[tuple[str, bytes | str]]:
    """Yields the pictures from the `first` on, each with its name."""
    sound = list(seeds())
    for number in range(first, first + count):
        chosen = random.Random(number)
        kind, data = sound[number % len(sound)]
        for _ in range(chosen.choice((1, 1, 2, 4))):
            data = chosen.choice(_WAYS)(chosen, data, sound)
        if chosen.random() < 0.15:
            yield f"picture {number} ({kind}, as text)", as_text(data, number)
        else:
            yield f"picture {number} ({kind})", data


def _truncated(chosen: random.Random, data: bytes, _: object) -> bytes:
    return data[: chosen.randrange(len(data) + 1)]


def _flipped(chosen: random.Random, data: bytes, _: object) -> bytes:
    changed = bytearray(data)
    for _time in range(chosen.choice((1, 3, 20)) if changed else 0):
        changed[chosen.randrange(len(changed))] ^= 1 << chosen.randrange(8)
    return bytes(changed)


def _lying_head(chosen: random.Random, data: bytes, _: object) -> bytes:
    """Puts an extreme number where sizes, offsets and counts stand."""
    form = chosen.choice((">H", "<H", ">I", "<I"))
    number = chosen.choice(_NUMBERS) % 2 ** (8 * struct.calcsize(form))
    at = chosen.randrange(max(1, min(len(data), 200)))
    packed = struct.pack(form, number)
    return data[:at] + packed + data[at + len(packed) :]


def _repeated(chosen: random.Random, data: bytes, _: object) -> bytes:
    if not data:
        return data
    start = chosen.randrange(len(data))
    piece = data[start : start + chosen.choice((1, 4, 12, 64))]
    at = chosen.randrange(len(data))
    return data[:at] + piece * chosen.choice((1, 3, 100, 5000)) + data[at:]


def _cut(chosen: random.Random, data: bytes, _: object) -> bytes:
    start = chosen.randrange(len(data) + 1)
    return data[:start] + data[start + chosen.choice((1, 2, 12, 100)) :]


def _spliced(chosen: random.Random, data: bytes, sound: list[tuple[str, bytes]]) -> bytes:
    other = chosen.choice(sound)[1]
    return data[: chosen.randrange(len(data) + 1)] + other[chosen.randrange(len(other)) :]


def _chunks(chosen: random.Random, data: bytes, _: object) -> bytes:
    """Takes out, doubles, swaps or rewrites a PNG's chunks, or a JPEG's segments."""
    if data[:4] == b"\x89PNG":
        parts, at = [], 8
        while at + 8 <= len(data) and len(parts) < 1000:
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            parts.append(data[at:end])
            at = end
        head = data[:8]
    else:
        parts = re.split(rb"(?=\xff[\xc0-\xfe])", data)
        head = b""
    if not parts:
        return data
    way, one, other = (chosen.randrange(n) for n in (4, len(parts), len(parts)))
    if way == 0:
        del parts[one]
    elif way == 1:
        parts.insert(other, parts[one])
    elif way == 2:
        parts[one], parts[other] = parts[other], parts[one]
    elif data[:4] == b"\x89PNG" and len(parts[one]) >= 12:
        body = _flipped(chosen, parts[one][4:-4], None)
        parts[one] = parts[one][:4] + body + struct.pack(">I", zlib.crc32(body))
    return head + b"".join(parts)


def _as_it_is(_: random.Random, data: bytes, __: object) -> bytes:
    return data


_WAYS = (
    _truncated, _flipped, _flipped, _lying_head, _lying_head, _repeated, _cut, _spliced,
    _chunks, _chunks, _as_it_is,
)  # fmt: skip
