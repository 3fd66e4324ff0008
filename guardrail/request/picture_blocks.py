"""The picture in a block of a message, whichever way the block holds it.

Blocks are dictionaries as LangChain, OpenAI, Anthropic and transformers write them. It knows none
of these libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from guardrail.errors import MessageError, PictureError
from guardrail.request.conversation import Picture
from guardrail.request.pictures import PictureLimits, load_picture, picture_from_base64

_DATA = ("base64", "data")
_PLACES = ("image", "path", "url", "image_url", "source", "file_path", "file_data", "file")
_ACCEPTED = (
    "give the picture as 'base64', 'url' (a data: URI or a path), 'path' or 'image' (a PIL image "
    "or a NumPy array)"
)
_MOST_DEPTH = 3


def block_picture(block: Mapping[str, Any], *, limits: PictureLimits | None = None) -> Picture:
    """Loads the picture that a block holds.

    Args:
        block: With its data under `base64` or `data`; or under `image`, `path`, `url`, `image_url`
            or `source` what `load_picture` takes, or a map of the same kind.
        limits: What is accepted; `PictureLimits()` without one.

    Raises:
        MessageError: It holds none; the sentence says what was found.
        PictureError: It holds one that cannot be read, or is not allowed.
    """
    found = _found(block)
    if found is None:
        raise MessageError(f"a {block.get('type')!r} block holds {_held(block)}: {_ACCEPTED}")
    key, value = found
    if key in _DATA and isinstance(value, str):
        return picture_from_base64(value, description=f"its {key} data", limits=limits)
    if isinstance(value, str) and not value.strip():
        raise PictureError(f"its {key!r} is empty: {_ACCEPTED}")
    if not isinstance(value, _LOADED):
        raise PictureError(f"its {key!r} is of type {type(value).__name__}: {_ACCEPTED}")
    return load_picture(value, limits=limits)


def is_held(block: Mapping[str, Any]) -> bool:
    """Whether a block holds its picture itself, and does not say where it is; False without one."""
    found = _found(block)
    if found is None:
        return False
    key, value = found
    if isinstance(value, str):
        return key in _DATA or value.lstrip(" \t\r\n\"'`<")[:5].lower() == "data:"
    return not isinstance(value, PathLike)


def is_named(block: Mapping[str, Any]) -> bool:
    """Whether a block says where its picture is, by a path or an address."""
    return _found(block) is not None and not is_held(block)


_LOADED = (str, bytes, bytearray, memoryview, PathLike, Image.Image, np.ndarray)


def _found(block: Mapping[str, Any], depth: int = 0) -> tuple[str, Any] | None:
    """Returns the first key that holds anything, and what it holds; maps are looked into."""
    for key in (*_DATA, *_PLACES):
        value = block.get(key)
        if value is None:
            continue
        if isinstance(value, Mapping):
            inner = _found(value, depth + 1) if depth < _MOST_DEPTH else None
            if inner is not None:
                return inner
            continue
        return key, value
    return None


def _held(block: Mapping[str, Any]) -> str:
    inner = [value for value in block.values() if isinstance(value, Mapping)]
    if any({"file_id", "id"} & each.keys() for each in (block, *inner)):
        return "an id of an uploaded file, which a local model cannot take"
    keys = sorted(str(key)[:40] for key in block if key != "type")[:8]
    return (
        f"no picture, only {', '.join(map(repr, keys))}"
        if keys
        else "no picture, nothing but its type"
    )
