"""Whether an answer is a refusal: it begins as refusals do.

Only the beginning counts. "I'm sorry" at the end of a helpful answer is politeness, not a refusal.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

# Marks that may stand before the first word: quotes, emphasis, list and quotation marks.
_BEFORE = " \t\n\r\"'*_#>`-–—•¡¿«“”‘’「『（("
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "＇": "'", "´": "'", "“": '"', "”": '"'})
_LATIN_END = 0x250


class RefusalMatcher:
    """Tells whether a text begins with one of many phrases, in time independent of their number."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._phrases = frozenset(filter(None, map(normalised, phrases)))
        self._lengths = sorted({len(phrase) for phrase in self._phrases})
        self._longest = max(self._lengths, default=0)
        self._sorted = sorted(self._phrases)

    def __call__(self, text: str) -> bool:
        """Returns whether `text` begins with a phrase; in Latin script, with whole words."""
        # Folding can make a text longer, hardly ever shorter: four times is more than enough.
        start = normalised(text.lstrip(_BEFORE)[: 4 * self._longest + 8])
        return any(
            start[:length] in self._phrases and _ends_word(start, length)
            for length in self._lengths
            if length <= len(start)
        )

    def may_become(self, text: str) -> bool:
        """Returns whether more text could make a refusal of `text`, which is none yet."""
        start = normalised(text.lstrip(_BEFORE))
        at = bisect_left(self._sorted, start)
        return at < len(self._sorted) and self._sorted[at].startswith(start)

    def is_settled(self, text: str) -> bool:
        """Returns whether `text` is a refusal, whatever follows it: its last word is whole."""
        return self(text) and self(f"{text}x")


def normalised(text: str) -> str:
    """Returns `text` case-folded, with straight quotes and single spaces, composed (NFKC)."""
    folded = unicodedata.normalize("NFKC", text.translate(_QUOTES)).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def is_refusal(text: str, phrases: Iterable[str]) -> bool:
    """Returns whether the answer `text` begins with one of `phrases`.

    Case, curly quotes, white space and marks before the first word do not matter.

    Args:
        text: An answer, as the model gave it.
        phrases: Beginnings of refusals; the matcher for a tuple is kept.
    """
    return matcher(tuple(phrases))(text)


@lru_cache(maxsize=32)
def matcher(phrases: tuple[str, ...]) -> RefusalMatcher:
    """Returns the matcher for `phrases`; made once, then remembered."""
    return RefusalMatcher(phrases)


def _ends_word(text: str, length: int) -> bool:
    last, following = text[length - 1], text[length : length + 1]
    return not (last.isalnum() and following.isalnum() and ord(last) < _LATIN_END)
