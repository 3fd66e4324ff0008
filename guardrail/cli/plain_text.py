"""Text from models and users, made safe to show in a terminal."""

from __future__ import annotations

import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # parts of emoji and of several scripts


def visible(text: str, *, keep_newlines: bool = True) -> str:
    """Returns `text` with control, direction and escape characters spelled out as `\\x1b`.

    A model's answer must not move the cursor, change colours or hide what it says.
    """
    return "".join(
        character
        if (character == "\n" and keep_newlines) or character in _JOINERS or _is_shown(character)
        else character.encode("unicode_escape", "replace").decode("ascii")
        for character in text
    )


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN
