"""Characters that look like a space, or like nothing, and are neither to YAML.

Text may hold them: a no-break space before a French colon, an ideographic space between Japanese
words, a joiner in Persian or in an emoji. Between keys and values they are what was typed by
accident, and nobody can see them. So they are named where something does not read as it looks.
"""

from __future__ import annotations

import re
import unicodedata

# No joiners beside letters that need them: those are spelling.
_ODD = re.compile(
    "[\x85\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180e\u2000-\u200b\u200e\u200f"
    "\u2028\u2029\u202f\u205f\u2060-\u2064\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e007f]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]"
)
_NAMES = {"\ufeff": "byte-order mark", "\x85": "next-line character"}


def odd_blank(text: str) -> int | None:
    """Returns where the first odd blank or invisible character stands in `text`; None without."""
    found = _ODD.search(text)
    return found.start() if found else None


def named(character: str) -> str:
    """Returns `the no-break space (U+00A0)`, or only the number of what has no name."""
    code = f"U+{ord(character):04X}"
    name = _NAMES.get(character) or unicodedata.name(character, "").lower()
    return f"the {name} ({code})" if name else f"the character {code}"


def blank_note(value: object) -> str:
    """Returns ` (character 8 is the no-break space (U+00A0))` where `value` is text with one."""
    at = odd_blank(value) if isinstance(value, str) else None
    if at is None or not isinstance(value, str):
        return ""
    return f" (character {at + 1} is {named(value[at])}: remove it or type a plain space)"
