"""What a block of a message holds beside its text or picture: titles, contexts, citations, ….

It does not know who is to read it, nor where a block may stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_ID = re.compile(r"[\w.:|/+=-]{0,512}")
_SETTINGS: Mapping[str, re.Pattern[str]] = {
    "detail": re.compile("auto|low|high|original"),
    "mime_type": re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}"),
    "media_type": re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}"),
    "source_type": re.compile("base64|url|id|text"),
}
_CACHED = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "5m"})
_QUOTING = ("title", "context", "annotations", "citations")


def asides(block: Mapping[str, Any], *, without: Iterable[str] = ()) -> list[str]:
    """Returns all that a block holds beside the keys `without`, a line for each key.

    Left out is what says nothing: what is empty, the block's kind and number, an id that looks like
    one, and a picture's form and detail as providers spell them.

    Args:
        block: A message's block, or anything of its kind (`additional_kwargs`).
        without: Keys that are passed on in another way.
    """
    told = {"type", *without}
    held = {key: value for key, value in block.items() if key not in told}
    return [
        f"{key}: {in_words(value)}" for key, value in held.items() if not _says_nothing(key, value)
    ]


def quoted_asides(block: Mapping[str, Any]) -> list[str]:
    """Returns what a text is published under and what it rests on: title, context, citations.

    Args:
        block: A block of text, as LangChain normalises it.
    """
    extras = block.get("extras")
    held = {**(extras if isinstance(extras, Mapping) else {}), **block}
    return asides({key: held[key] for key in _QUOTING if key in held})


def in_words(value: Any) -> str:
    """Returns a text as it is, and anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _says_nothing(key: Any, value: Any) -> bool:
    if value is None or value is False or value in ("", [], {}, ()):
        return True
    if key == "index":
        return isinstance(value, int)
    if key == "id":
        return isinstance(value, str) and _ID.fullmatch(value) is not None
    if key == "cache_control":
        return value in _CACHED
    known = _SETTINGS.get(key)
    return known is not None and isinstance(value, str) and known.fullmatch(value) is not None
