"""Whether text is text: a lone surrogate is half of a character, and no UTF-8 says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lone_surrogate(text: str) -> str | None:
    """Returns where half a character stands in `text` and what to do about it; None without one."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return (
            f"character {error.start + 1:,} is the lone surrogate U+{ord(text[error.start]):04X}, "
            "half of a character; decode the text again where it comes from, or replace it"
        )
    return None


def lone_surrogate_in(value: Any) -> str | None:
    """As `lone_surrogate`, for the first text anywhere in maps (keys, too) and lists."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            if found := lone_surrogate(each):
                return found
        elif isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            left += each
    return None
