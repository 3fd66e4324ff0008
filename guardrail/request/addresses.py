"""How a text says where a picture is: a path, a `file:` address, a `data:` URI, or base64 itself.

INVARIANT: no error quotes picture data. What may be data is told by its length.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np

from guardrail.errors import PictureError
from guardrail.request.decoding import looks_like_picture
from guardrail.request.picture_limits import Deadline, PictureLimits

SHOWN_PATH = 200
"""Characters of a path that an error shows."""

_PATH_LENGTH = 4096
_PIECE = 3 * 2**20
_WHITE = b" \t\r\n\v\f"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=%\s-]*\Z")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=_%-]{64}")
_HALF_URI = re.compile(r"(image/|data;|;?base64,)", re.IGNORECASE)
_LEAST_BASE64 = 64
_QUOTES = (('"', '"'), ("'", "'"), ("`", "`"), ("<", ">"), ("“", "”"))
_HEX = np.full(256, -1, np.int16)
_HEX[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
_HEX[np.frombuffer(b"abcdef", np.uint8)] = _HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(
    10, 16
)


def unwrapped(text: str) -> str:
    """Returns `text` without the white space and the pairs of quotes around it."""
    text = text.strip("\ufeff \t\r\n\v\f\u00a0\u200b")
    for opening, closing in _QUOTES:
        if len(text) >= 2 and text[0] == opening and text[-1] == closing:
            return text[1:-1].strip()
    return text


def named(path: Path | str) -> str:
    """Returns a path as an error shows it: quoted, cut, and not at all if it may be data."""
    text = str(path)
    if ("." not in text and _LONG_RUN.search(text)) or _HALF_URI.match(text):
        return f"the path of {len(text):,} characters"
    return repr(text if len(text) <= SHOWN_PATH else f"{text[:SHOWN_PATH]}…")


def file_path(source: str) -> Path:
    """Returns the path of a `file:` address: of one, three or no slashes, or with `localhost`.

    Raises:
        PictureError: It names another machine.
    """
    rest = source[5:]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise PictureError(
                f"{named(source)} names a file on another machine ({named(host)}): "
                "a file:// address has three slashes before the path"
            )
        rest = slash + path
    return Path(url2pathname(rest))


def data_uri(source: str, limits: PictureLimits, deadline: Deadline) -> tuple[bytes, str]:
    """Returns what a `data:` URI holds, and how an error names it.

    Raises:
        PictureError: It has no comma, is not the base64 that it says it is, or is too large.
    """
    # A header is short: of what follows no copy is made before its size is known.
    comma = source.find(",", 0, _PATH_LENGTH)
    if comma < 0:
        raise PictureError("the data: URI has no comma: write data:image/png;base64,<data>")
    header = source[5:comma]
    kind = header.split(";")[0].strip()
    shown = repr(kind) if re.fullmatch(r"[\w.+-]{1,40}/[\w.+-]{1,40}", kind) else "no media type"
    description = f"the data: URI ({shown})"
    if unquote(header).rsplit(";", 1)[-1].strip().lower() == "base64":
        return base64_bytes(source[comma + 1 :], description, limits, deadline), description
    limits.check_bytes((len(source) - comma) // 3, description)
    raw = percent_decoded(_encoded(source[comma + 1 :]), description, deadline)
    limits.check_bytes(len(raw), description)
    return raw, description


def base64_bytes(text: str, description: str, limits: PictureLimits, deadline: Deadline) -> bytes:
    """Decodes base64: standard or URL-safe, with or without padding, in lines, percent-encoded.

    Raises:
        PictureError: It is none, or more than is accepted.
    """
    most = limits.max_bytes * 4 // 3 + limits.max_bytes // 32 + 4
    escapes = text.count("%", 0, 3 * most)
    if len(text) - 2 * escapes > most:
        limits.check_bytes(limits.max_bytes + 1, description)
    raw = _encoded(text)
    if escapes:
        raw = percent_decoded(raw, description, deadline)
    compact = raw.translate(_STANDARD, _WHITE).rstrip(b"=")
    try:
        return binascii.a2b_base64(compact + b"=" * (-len(compact) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise PictureError(f"{description} is not valid base64: encode the picture again") from None


def percent_decoded(raw: bytes, description: str, deadline: Deadline) -> bytes:
    """Returns `raw` with its percent signs decoded, piece by piece.

    The standard library makes a list entry of every sign: 200 MB of them take 14 GB.
    """
    decoded = bytearray()
    at = 0
    while at < len(raw):
        end = min(at + _PIECE, len(raw))
        while end < len(raw) and b"%" in raw[end - 2 : end]:
            end += 1  # no escape is cut in two
        piece = np.frombuffer(raw, np.uint8, end - at, at)
        signs = np.flatnonzero(piece[: max(0, len(piece) - 2)] == 0x25)
        high, low = _HEX[piece[signs + 1]], _HEX[piece[signs + 2]]
        valid = (high >= 0) & (low >= 0)
        signs, values = signs[valid], (high * 16 + low)[valid]
        written, kept = piece.copy(), np.ones(len(piece), bool)
        written[signs] = values.astype(np.uint8)
        kept[signs + 1] = kept[signs + 2] = False
        decoded += written[kept].tobytes()
        deadline.check(description)
        at = end
    return bytes(decoded)


def holds_base64(text: str) -> bool:
    """Whether `text` is base64 of a picture without a `data:` before it, or cannot be else."""
    if not _BASE64.match(text[:_PATH_LENGTH]):
        return False
    head = re.sub(r"\s", "", unquote(text[:200])).translate(str.maketrans("-_", "+/"))[:32]
    try:
        found = base64.b64decode(head[: len(head) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(text) >= _LEAST_BASE64 and ("/" not in text[:200] or len(text) > _PATH_LENGTH):
        return True
    return len(found) >= 6 and looks_like_picture(found)


def is_half_uri(text: str) -> bool:
    """Whether `text` is what is left of a `data:` URI that lost its beginning."""
    return bool(_HALF_URI.match(text)) and "base64," in text[:200].lower()


def host_of(source: str) -> str:
    """Returns the host of a remote address: the rest of it may hold secrets."""
    try:
        return urlsplit(source).hostname or "?"
    except ValueError:
        return "?"


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise PictureError("the picture's data is not valid Unicode: encode it again") from None
