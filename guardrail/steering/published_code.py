"""What the code released with SafeCoDe does where it is not what the paper's equations say.

Pure functions of texts and tokens. What it does to arrays stands beside the paper's: contrast in
`contrast_published`, modulation in `modulate_published`, the forced phrase in `opening`; its noise
is `guardrail.backends.transformers.photo_noise`.

Left out, since every system here is decoded by the caller's own settings: that it samples
(temperature 0.7 to 0.8), that the verdict sets how long an answer may get, that a first token which
is a quotation mark is passed over, that guided tokens with `|`, `$` or `MS` in them are thrown
away, and that an unparsable verdict counts as safe.

Source: github.com/franciscoliu/SafeCoDe at 4d2ca1b, read and written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from guardrail.steering.refusals import TokenIds

EXCUSES = ("sorry", "apologize", "unable", "cannot", "can't", "not allowed", "not able to")
"""A phrase that is forced holds one of these, if any phrase does."""

_FEWEST_TOKENS = 2
_FEWEST_WORDS = 2
_SHORTEST_WORD = 2


def sub_tokens(phrases: Iterable[str], tokens: Callable[[str], Sequence[int]]) -> TokenIds:
    """Returns every token that any phrase is made of, each on its own, sorted.

    Args:
        phrases: Refusal phrases.
        tokens: The model's own tokenizer: what a text that an answer begins with is made of.
    """
    return np.array(sorted({token for each in phrases for token in tokens(each)}), dtype=np.int64)


def forcible(phrases: Sequence[str]) -> tuple[str, ...]:
    """Returns the phrases of which one is forced: those that excuse themselves, else all.

    The released code looks for them among the 20 likeliest phrases; of its own 29, 14 qualify, so
    that one always is among them.
    """
    excusing = tuple(each for each in phrases if any(word in each.lower() for word in EXCUSES))
    return excusing or tuple(phrases)


def has_begun(text: str, count: int) -> bool:
    """Whether an answer has begun well enough for the released code to stop guiding it.

    Args:
        text: The answer so far.
        count: Tokens that it is made of.
    """
    words = text.split()
    if count < _FEWEST_TOKENS or len(words) < _FEWEST_WORDS:
        return False
    return len(words[0]) >= _SHORTEST_WORD and words[0][0].isupper()
