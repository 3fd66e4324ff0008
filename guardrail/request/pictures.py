"""Safe loading of pictures: any source a caller has, checked before a pixel is decoded.

Every fault of a picture becomes one `PictureError` sentence that names the source and the remedy.
It does not know what a model does with the pixels, and it never goes to the network by itself:
remote addresses need an explicit `UrlPolicy` (`guardrail.request.fetching`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.conversation import Picture
from guardrail.request.pixels import rgb_pixels

if TYPE_CHECKING:
    from guardrail.request.fetching import UrlPolicy

DEFAULT_FORMATS = frozenset({"PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"})

_MIB = 1024 * 1024
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_LOOKS_LIKE: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        "a HEIC photo": re.compile(rb"....ftyp(hei|hev|mif|msf)", re.DOTALL),
        "a video": re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL),
        "a PDF": re.compile(rb"%PDF"),
        "an SVG drawing": re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg", re.DOTALL),
        "a web page": re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE),
        "a Git LFS pointer": re.compile(rb"version https://git-lfs"),
        "an archive": re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf"),
    }
)


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be.

    Attributes:
        max_bytes: Largest encoded size.
        max_pixels: Largest width times height, checked before decoding.
        max_aspect: Largest ratio of the longer to the shorter side. A 1 x 50,000,000 strip passes
            every other check and becomes a bomb when a processor scales its short side up.
        formats: Pillow format names that may be decoded; the content decides, not the file name.
        local_files: Whether paths and `file://` addresses are read. Switch it off where the
            messages come from people who must not read this machine's files.
        urls: Which remote addresses may be fetched; None refuses all of them.
    """

    max_bytes: int = 32 * _MIB
    max_pixels: int = 50_000_000
    max_aspect: float = 200.0
    formats: frozenset[str] = DEFAULT_FORMATS
    local_files: bool = True
    urls: UrlPolicy | None = None


def load_picture(
    source: str | Path | bytes | Image.Image, *, limits: PictureLimits | None = None
) -> Picture:
    """Loads a picture from wherever it is and returns its RGB pixels, upright, on white.

    Args:
        source: A path, a `file://` or `data:` address, encoded bytes, or a PIL image (which is
            copied, never changed). `http(s)://` only where `limits.urls` allows it.
        limits: What is accepted; `PictureLimits()` without one.

    Returns:
        The picture. Its digest is the SHA-256 of the encoded bytes; of size and RGB pixels for a
        PIL image.

    Raises:
        PictureError: The picture cannot be read or is not allowed; one sentence with the remedy.
    """
    limits = limits or PictureLimits()
    if isinstance(source, Image.Image):
        return _from_image(source, limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), "the picture data", limits)
    if isinstance(source, Path):
        return _from_path(source, limits)
    if isinstance(source, str):
        return _from_text(source, limits)
    raise PictureError(
        f"a picture cannot be loaded from a {type(source).__name__}: "
        "give a path, a data: URI, encoded bytes or a PIL image"
    )


def picture_from_base64(
    data: str, *, description: str = "the base64 data", limits: PictureLimits | None = None
) -> Picture:
    """Decodes base64 (standard or URL-safe, with or without padding) and loads the picture.

    Args:
        data: The base64 text; white space is allowed.
        description: How an error names the source. The data itself is never quoted.
        limits: What is accepted; `PictureLimits()` without one.

    Raises:
        PictureError: It is not base64, or not an acceptable picture.
    """
    limits = limits or PictureLimits()
    if len(data) > limits.max_bytes * 4 // 3 + limits.max_bytes // 32 + 4:
        raise PictureError(_too_many_bytes(description, limits))
    compact = "".join(data.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        encoded = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError(
            f"{description} is not valid base64: encode the picture again"
        ) from error
    return _from_bytes(encoded, description, limits)


def _from_text(source: str, limits: PictureLimits) -> Picture:
    if source[:5].lower() == "data:":
        return _from_data_uri(source, limits)
    scheme = match[1].lower() if (match := _SCHEME.match(source)) else ""
    if scheme in ("http", "https"):
        return _from_url(source, limits)
    if scheme == "file":
        return _from_path(_file_path(source), limits)
    if scheme:
        raise PictureError(
            f"addresses of kind {scheme}:// are not supported: "
            "download the picture and give its path, or give a data: URI",
            reason="addresses of this kind are not supported: give a path or a data: URI",
        )
    if not source.strip():
        raise PictureError("the picture's path is empty: give a path, a data: URI or bytes")
    return _from_path(Path(source), limits)


def _from_data_uri(source: str, limits: PictureLimits) -> Picture:
    header, comma, data = source[5:].partition(",")
    if not comma:
        raise PictureError("the data: URI has no comma: write data:image/png;base64,<data>")
    kind = header.split(";")[0].strip() or "no media type"
    description = f"the data: URI ({kind[:80]!r})"
    if header.rsplit(";", 1)[-1].strip().lower() == "base64":
        return picture_from_base64(unquote(data), description=description, limits=limits)
    if len(data) > 3 * limits.max_bytes:
        raise PictureError(_too_many_bytes(description, limits))
    return _from_bytes(unquote_to_bytes(data), description, limits)


def _from_url(source: str, limits: PictureLimits) -> Picture:
    host = urlsplit(source).hostname or "?"
    if limits.urls is None:
        raise PictureError(
            f"remote pictures are not allowed (host {host!r}): download the picture and give its "
            "path, or allow the host with PictureLimits(urls=UrlPolicy(hosts=...))"
        )
    from guardrail.request.fetching import fetch

    encoded = fetch(source, limits.urls, max_bytes=limits.max_bytes)
    return _from_bytes(encoded, f"the picture from {host!r}", limits)


def _file_path(source: str) -> Path:
    parts = urlsplit(source)
    if parts.netloc not in ("", "localhost"):
        raise PictureError(
            f"{source[:200]!r} names a file on another machine ({parts.netloc!r}): "
            "a file:// address has three slashes before the path"
        )
    return Path(url2pathname(parts.path))


def _from_path(path: Path, limits: PictureLimits) -> Picture:
    name = repr(str(path)[:300])
    if not limits.local_files:
        raise PictureError(
            f"local files may not be read here ({name}): send the picture as base64 or a data: URI"
        )
    try:
        path = path.expanduser()
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PictureError(f"{name} is a directory: give the path of one picture in it")
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{name} is not a regular file: give the path of a picture file")
        if status.st_size > limits.max_bytes:
            raise PictureError(_too_many_bytes(name, limits))
        with path.open("rb") as file:
            encoded = file.read(limits.max_bytes + 1)
    except FileNotFoundError as error:
        raise PictureError(f"{name} does not exist: check the path") from error
    except PermissionError as error:
        raise PictureError(f"{name} may not be read: check the file's permissions") from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{name} cannot be read ({reason}): check the path") from error
    return _from_bytes(encoded, name, limits)


def _from_image(source: Image.Image, limits: PictureLimits) -> Picture:
    description = f"the PIL image ({source.mode}, {source.width} x {source.height})"
    _check_shape(source, description, limits)
    pixels = _decoded(source, description)
    digest = hashlib.sha256(f"RGB {pixels.width}x{pixels.height}\n".encode())
    digest.update(pixels.tobytes())
    return Picture(pixels, digest.hexdigest())


def _from_bytes(encoded: bytes, description: str, limits: PictureLimits) -> Picture:
    if not encoded:
        raise PictureError(f"{description} is empty (0 bytes): the picture was not saved or sent")
    if len(encoded) > limits.max_bytes:
        raise PictureError(_too_many_bytes(description, limits))
    image = _open(encoded, description, limits)
    _check_shape(image, description, limits)
    return Picture(_decoded(image, description), hashlib.sha256(encoded).hexdigest())


def _open(encoded: bytes, description: str, limits: PictureLimits) -> Image.Image:
    """Reads the header alone, by the allowed decoders only.

    `PIL.Image.open` is not used: it warns about large pictures through process-wide state and
    checks the size against a global, where ours has its own limit and must never warn.
    """
    Image.init()
    for name in sorted(limits.formats & Image.OPEN.keys()):
        factory, accept = Image.OPEN[name]
        recognised = accept(encoded[:16]) if accept is not None else None
        if accept is not None and (not recognised or isinstance(recognised, str)):
            continue  # a string says why this build of Pillow cannot decode the format
        try:
            return factory(io.BytesIO(encoded), "")
        except Exception as error:  # a decoder fed with hostile bytes raises anything
            if accept is None:
                continue
            raise PictureError(
                f"{description} begins like a {name} picture but cannot be read: "
                "the file is damaged, save it again"
            ) from error
    raise PictureError(_unknown_kind(encoded, description, limits))


def _unknown_kind(encoded: bytes, description: str, limits: PictureLimits) -> str:
    accepted = f"give {', '.join(sorted(limits.formats))}"
    head = encoded[:1024]
    for name, (_, accept) in Image.OPEN.items():
        if name in ("BMP", *DEFAULT_FORMATS) and accept and accept(head[:16]) is True:
            return f"{description} is a {name} picture, which is not allowed here: {accepted}"
    for kind, pattern in _LOOKS_LIKE.items():
        if pattern.match(head):
            return f"{description} is {kind}, not a picture that can be decoded: {accepted}"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in head)
    kind = "is text" if printable >= 0.95 * len(head) else "is of an unknown kind"
    return f"{description} {kind}, not a picture, whatever its name: {accepted}"


def _check_shape(image: Image.Image, description: str, limits: PictureLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(f"{description} has no pixels ({width} x {height}): save it again")
    if width * height > limits.max_pixels:
        raise PictureError(
            f"{description} has {width:,} x {height:,} pixels, at most "
            f"{limits.max_pixels / 1e6:g} megapixels are accepted: scale it down"
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise PictureError(
            f"{description} is a strip of {width:,} x {height:,} pixels, sides may differ by "
            f"{limits.max_aspect:g} times at most: cut it into pieces"
        )
    if image.format != "MPO" and _is_sequence(image):
        raise PictureError(
            f"{description} is animated or has several pages: "
            "give one frame or page as a picture of its own"
        )


def _is_sequence(image: Image.Image) -> bool:
    """Whether there is more than one frame; the previews in an MPO photo are the caller's case."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame is still a second frame
        return True


def _decoded(image: Image.Image, description: str) -> Image.Image:
    try:
        image.load()
    except Exception as error:  # a decoder fed with hostile bytes raises anything
        raise PictureError(
            f"{description} is truncated or damaged: save or download it again"
        ) from error
    try:
        return rgb_pixels(image)
    except PictureError as error:
        raise PictureError(f"{description} {error}") from error
    except Exception as error:
        raise PictureError(
            f"{description} has pixels of kind {image.mode!r} that cannot be converted: "
            "save it as an 8-bit RGB picture"
        ) from error


def _too_many_bytes(description: str, limits: PictureLimits) -> str:
    return (
        f"{description} is larger than {limits.max_bytes / _MIB:g} MiB: "
        "scale it down or save it with stronger compression"
    )
