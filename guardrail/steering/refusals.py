"""Which tokens would begin or continue a refusal, given what the answer says so far.

Refusal phrases are openings of an answer ("I can't help with"). The index follows them on bytes,
not on a tokenizer's own cutting, from the start of the answer: "I" alone is not a refusal, and
" can" after "I" may become one. It knows nothing of logits or policies.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

TokenIds = npt.NDArray[np.int64]
"""Token ids, (count,) int64."""

_LONGEST_STRETCH = 32
"""Bytes of a phrase that one token may spell; longer tokens are not words."""


@dataclass(frozen=True)
class Beginnings:
    """Tokens that begin or continue a refusal after a given text.

    Attributes:
        all: Their ids, sorted.
        steerable: Those of them that steering may touch. Once a phrase is under way it is all of
            them. At the start of an answer a token counts only if it spells at least half of some
            phrase ("Sorry", not "I"), unless no token does, so that it cannot be avoided.
        whole: Those of them that make a phrase whole, sorted.
    """

    all: TokenIds
    steerable: TokenIds
    whole: TokenIds

    @cached_property
    def open(self) -> TokenIds:
        """Those after which a refusal is under way, and may still become something else."""
        return np.setdiff1d(self.all, self.whole)

    def __bool__(self) -> bool:
        return len(self.all) > 0

    def within(self, size: int) -> Beginnings:
        """Returns those among the first `size` tokens: a vocabulary that is being seen may have
        grown since the logits that they are looked up in.
        """
        if not self or self.all[-1] < size:
            return self
        kept = (each[each < size] for each in (self.all, self.steerable, self.whole))
        return Beginnings(*kept)


class RefusalIndex:
    """Refusal phrases compiled for one vocabulary.

    Memory and compile time are linear in the phrases' total length; a look-up after the first one
    for the same text is a dictionary access. Safe to share between threads.

    Args:
        phrases: Openings of refusals, in any language. Curly and straight apostrophes and a small
            first letter are added as variants.
        vocabulary: The bytes that each token id spells, None for control tokens.
    """

    def __init__(self, phrases: Iterable[str], vocabulary: Sequence[bytes | None]) -> None:
        self._phrases = sorted({variant for phrase in phrases for variant in _variants(phrase)})
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._compiled = _Compiled.of(vocabulary)
        self.beginnings(b"")

    @property
    def _current(self) -> _Compiled:
        """What the vocabulary spells now: one that is only being seen grows."""
        if len(self._vocabulary) > self._compiled.size:
            with self._lock:
                if len(self._vocabulary) > self._compiled.size:
                    self._compiled = _Compiled.of(self._vocabulary)
        return self._compiled

    def __len__(self) -> int:
        return len(self._phrases)

    def spell(self, token_ids: Iterable[int]) -> bytes:
        """Returns what the answer says so far, without leading white space."""
        texts = (
            self._vocabulary[index] if index < len(self._vocabulary) else None
            for index in token_ids
        )
        return b"".join(text or b"" for text in texts).lstrip()

    def beginnings(self, text: bytes) -> Beginnings:
        """Returns the tokens that begin or continue a refusal after `text`.

        Args:
            text: The answer so far, as `spell` gives it. Once it holds a whole phrase, or can no
                longer become one, the result is empty.
        """
        compiled = self._current
        known = compiled.known.get(text)
        if known is None:
            known = self._compile(text, compiled)
            if known or not text:  # texts that left every phrase are not worth remembering
                compiled.known[text] = known
        return known

    @property
    def loose_tokens(self) -> TokenIds:
        """The tokens that are a word of any phrase, each on its own: a flat set of ids.

        It touches "I" everywhere, and is kept for the `paper` form only.

        Source: ours: SafeCoDe (arXiv 2509.19212) speaks of refusal tokens and does not say how they
        are found. The released code takes every sub-token of phrases of its own, which are mostly
        other ones (`published_code.sub_tokens`).
        """
        compiled = self._current
        if compiled.loose is not None:
            return compiled.loose
        words = {word for phrase in self._phrases for word in phrase.split(b" ") if word}
        ids: set[int] = set()
        for word in words:
            ids.update(compiled.inner.exact(word), compiled.inner.exact(b" " + word))
        compiled.loose = _sorted(ids)
        return compiled.loose

    def _compile(self, text: bytes, compiled: _Compiled) -> Beginnings:
        tokens = compiled.inner if text else compiled.first
        found: set[int] = set()
        steerable: set[int] = set()
        whole: set[int] = set()
        seen: dict[bytes, list[int] | None] = {}
        for phrase in self._continuations(text):
            rest = phrase[len(text) :]
            for end in range(1, min(len(rest), _LONGEST_STRETCH) + 1):
                stretch = rest[:end]
                if stretch not in seen:
                    seen[stretch] = tokens.exact(stretch) if tokens.begins(stretch) else None
                ids = seen[stretch]
                if ids is None:  # no token spells so much, so none spells more
                    break
                if end == len(rest):
                    ids = [*ids, *tokens.beyond(stretch)]
                    whole.update(ids)
                if ids:
                    found.update(ids)
                    if text or 2 * end >= len(phrase):
                        steerable.update(ids)
        every = _sorted(found)
        return Beginnings(every, _sorted(steerable) if steerable else every, _sorted(whole))

    def _continuations(self, text: bytes) -> list[bytes]:
        """Phrases that `text` is a true beginning of; none once `text` holds a whole phrase."""
        low = bisect_left(self._phrases, text)
        high = bisect_left(self._phrases, text + b"\xff") if text else len(self._phrases)
        if self._said(text):
            return []
        return self._phrases[low:high]

    def _said(self, text: bytes) -> bool:
        for end in range(1, len(text) + 1):
            at = bisect_left(self._phrases, text[:end])
            if at < len(self._phrases) and self._phrases[at] == text[:end]:
                return True
        return False


class _Vocabulary:
    """Token texts, looked up whole or by their beginning."""

    def __init__(self, spelled: Sequence[tuple[bytes, int]]) -> None:
        self._sorted = sorted(spelled)
        self._texts = [text for text, _ in self._sorted]

    def begins(self, text: bytes) -> bool:
        """Whether any token begins with `text`."""
        at = bisect_left(self._texts, text)
        return at < len(self._texts) and self._texts[at].startswith(text)

    def exact(self, text: bytes) -> list[int]:
        """Ids of the tokens that spell `text` and nothing else."""
        low = bisect_left(self._texts, text)
        high = bisect_left(self._texts, text + b"\x00")
        return [index for _, index in self._sorted[low:high]]

    def beyond(self, text: bytes) -> list[int]:
        """Ids of longer tokens that begin with `text` and do not go on with the same word."""
        low = bisect_left(self._texts, text + b"\x00")
        high = bisect_left(self._texts, text + b"\xff")
        end = len(text)
        return [index for spelled, index in self._sorted[low:high] if not spelled[end:].isalnum()]


@dataclass
class _Compiled:
    """What a vocabulary of a certain size spells.

    Attributes:
        size: How many tokens it had.
        inner: Its tokens.
        first: As they begin an answer: there a leading space belongs to the tokenizer, not to the
            text.
        known: Look-ups, by the text before.
        loose: `RefusalIndex.loose_tokens`, once they have been asked for.
    """

    size: int
    inner: _Vocabulary
    first: _Vocabulary
    known: dict[bytes, Beginnings] = field(default_factory=dict)
    loose: TokenIds | None = None

    @classmethod
    def of(cls, vocabulary: Sequence[bytes | None]) -> _Compiled:
        size = len(vocabulary)
        spelled = [(text, at) for at, text in enumerate(vocabulary[:size]) if text]
        stripped = ((text.lstrip(), at) for text, at in spelled)
        first = _Vocabulary([(text, at) for text, at in stripped if text])
        return cls(size, _Vocabulary(spelled), first)


def _variants(phrase: str) -> set[bytes]:
    text = phrase.strip()
    if not text:
        return set()
    spellings = {text, text.replace("’", "'"), text.replace("'", "’")}
    spellings |= {spelling[0].lower() + spelling[1:] for spelling in spellings}
    return {spelling.encode() for spelling in spellings}


def _sorted(ids: set[int]) -> TokenIds:
    return np.array(sorted(ids), dtype=np.int64)
