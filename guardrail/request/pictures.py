"""Safe loading of pictures: any source a caller has, checked before a pixel is decoded.

Every fault of a picture becomes one `PictureError` sentence that names the source and the remedy.
It does not know what a model does with the pixels, and it never goes to the network by itself:
remote addresses need an explicit `UrlPolicy` (`guardrail.request.fetching`).
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request import addresses
from guardrail.request.arrays import array_image
from guardrail.request.conversation import Picture
from guardrail.request.decoding import decoded
from guardrail.request.picture_limits import DEFAULT_FORMATS, Deadline, PictureLimits
from guardrail.request.pixels import rgb_pixels
from guardrail.request.tiff import silence_libtiff

__all__ = ["DEFAULT_FORMATS", "PictureLimits", "load_picture", "picture_from_base64"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")


def load_picture(source: Any, *, limits: PictureLimits | None = None) -> Picture:
    """Loads a picture from wherever it is and returns its RGB pixels, upright, on white.

    Args:
        source: A path, a `file:` or `data:` address, base64 of a picture, encoded bytes, a PIL
            image (which is copied, never changed) or a NumPy array of `(height, width)` or
            `(height, width, channels)`. White space and quotes around a text do not matter.
            `http(s)://` only where `limits.urls` allows it.
        limits: What is accepted; `PictureLimits()` without one.

    Returns:
        The picture. Its digest is the SHA-256 of the encoded bytes; of size and RGB pixels for a
        PIL image or an array.

    Raises:
        PictureError: The picture cannot be read or is not allowed; one sentence with the remedy.
    """
    limits = limits or PictureLimits()
    deadline = Deadline(limits)
    if isinstance(source, Image.Image):
        return _from_image(source, limits)
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, bytes | bytearray | memoryview):
        description = "the picture data"
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        limits.check_bytes(size, description)
        return _from_bytes(bytes(source), description, limits, deadline)
    if isinstance(source, PathLike):
        found = fspath(source)
        if isinstance(found, str):
            return _from_path(Path(found), limits, deadline)
    if isinstance(source, str):
        return _from_text(source, limits, deadline)
    raise PictureError(
        f"a picture cannot be loaded from a {type(source).__name__}: "
        "give a path, a data: URI, base64, encoded bytes, a PIL image or a NumPy array"
    )


def picture_from_base64(
    data: str, *, description: str = "the base64 data", limits: PictureLimits | None = None
) -> Picture:
    """Decodes base64 (standard or URL-safe, with or without padding) and loads the picture.

    Args:
        data: The base64 text; white space is allowed, and a `data:` URI of it is read, too.
        description: How an error names the source. The data itself is never quoted.
        limits: What is accepted; `PictureLimits()` without one.

    Raises:
        PictureError: It is not base64, or not an acceptable picture.
    """
    limits = limits or PictureLimits()
    deadline = Deadline(limits)
    if addresses.unwrapped(data[:64])[:5].lower() == "data:":
        return _from_text(data, limits, deadline)
    return _from_base64(addresses.unwrapped(data), description, limits, deadline)


def _from_base64(data: str, description: str, limits: PictureLimits, deadline: Deadline) -> Picture:
    encoded = addresses.base64_bytes(data, description, limits, deadline)
    return _from_bytes(encoded, description, limits, deadline)


def _from_text(source: str, limits: PictureLimits, deadline: Deadline) -> Picture:
    text = addresses.unwrapped(source)
    if not text:
        raise PictureError("the picture's path is empty: give a path, a data: URI or bytes")
    if text[:5].lower() == "data:":
        return _from_bytes(*addresses.data_uri(text, limits, deadline), limits, deadline)
    if addresses.is_half_uri(text):
        half = f"data:{text.removeprefix('data;')}"
        return _from_bytes(*addresses.data_uri(half, limits, deadline), limits, deadline)
    scheme = match[1].lower() if (match := _SCHEME.match(text)) else ""
    if scheme in ("http", "https"):
        return _from_url(text, limits, deadline)
    if text[:5].lower() == "file:":
        return _from_path(addresses.file_path(text), limits, deadline)
    if scheme:
        raise PictureError(
            f"addresses of kind {scheme}:// are not supported: "
            "download the picture and give its path, or give a data: URI",
            reason="addresses of this kind are not supported: give a path or a data: URI",
        )
    if addresses.holds_base64(text) and not (limits.local_files and _is_file(text)):
        return _from_base64(text, "the base64 data", limits, deadline)
    as_given = source != text and limits.local_files and _is_file(source)
    return _from_path(Path(source if as_given else text), limits, deadline)


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _from_url(source: str, limits: PictureLimits, deadline: Deadline) -> Picture:
    host = addresses.host_of(source)
    if limits.urls is None:
        raise PictureError(
            f"remote pictures are not allowed (host {host!r}): download the picture and give its "
            "path, or allow the host with PictureLimits(urls=UrlPolicy(hosts=...))"
        )
    from guardrail.request.fetching import fetch

    encoded = fetch(source, limits.urls, max_bytes=limits.max_bytes)
    # The way here has a time-out of its own; what is decoded now has its time from now on.
    return _from_bytes(encoded, f"the picture from {host!r}", limits, Deadline(limits))


def _from_path(path: Path, limits: PictureLimits, deadline: Deadline) -> Picture:
    name = addresses.named(path)
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
        limits.check_bytes(status.st_size, name)
        with path.open("rb") as file:
            encoded = file.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise PictureError(f"{name} does not exist: check the path") from None
    except PermissionError:
        raise PictureError(f"{name} may not be read: check the file's permissions") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise PictureError(f"{name} cannot be read ({reason}): check the path") from None
    return _from_bytes(encoded, name, limits, deadline)


def _from_image(source: Image.Image, limits: PictureLimits) -> Picture:
    with _about(f"the PIL image ({source.mode}, {source.width} x {source.height})"):
        limits.check_size(*source.size)
        if source.format != "MPO" and _is_sequence(source):
            raise PictureError(
                "is animated or has several pages: give one frame or page as a picture of its own"
            )
        if source.format == "TIFF":
            silence_libtiff()
        try:
            source.load()
        except Exception as error:  # a decoder fed with hostile bytes raises anything
            raise PictureError("is truncated or damaged: save or download it again") from error
        try:
            return _of_pixels(rgb_pixels(source))
        except PictureError:
            raise
        except Exception as error:
            raise PictureError(
                f"has pixels of kind {source.mode!r} that cannot be converted: "
                "save it as an 8-bit RGB picture"
            ) from error


def _from_array(source: np.ndarray[Any, Any], limits: PictureLimits) -> Picture:
    with _about(f"the {source.dtype.name} array"):
        return _of_pixels(rgb_pixels(array_image(source, limits), owned=True))


def _is_sequence(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame is still a second frame
        return True


def _of_pixels(pixels: Image.Image) -> Picture:
    digest = hashlib.sha256(f"RGB {pixels.width}x{pixels.height}\n".encode())
    digest.update(pixels.tobytes())
    return Picture(pixels, digest.hexdigest())


def _from_bytes(
    encoded: bytes, description: str, limits: PictureLimits, deadline: Deadline
) -> Picture:
    if not encoded:
        raise PictureError(f"{description} is empty (0 bytes): the picture was not saved or sent")
    limits.check_bytes(len(encoded), description)
    with _about(description):
        pixels = decoded(encoded, limits, deadline)
    return Picture(pixels, hashlib.sha256(encoded).hexdigest())


@contextmanager
def _about(description: str) -> Iterator[None]:
    """Gives the sentences of the readers their subject."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{description} {error}") from error.__cause__
