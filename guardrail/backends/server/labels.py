"""Probabilities of words, read off a server's candidates; no answer is compared as a string."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from guardrail.backends.server.candidates import Candidates
from guardrail.backends.server.seen_tokens import SeenTokens
from guardrail.errors import JudgeError

READABLE_MASS = 1e-3
"""Least probability that both labels must hold together for an answer to be readable."""


def p_label(
    found: Candidates, tokens: SeenTokens, words: Sequence[str], others: Sequence[str]
) -> float:
    """Returns P(one of `words`), of these and `others`, as an answer's first word.

    Raises:
        JudgeError: They hold less than `READABLE_MASS` together.
    """
    one, other = (_mass(found, tokens, each) for each in (words, others))
    if one + other < READABLE_MASS:
        raise JudgeError(f"the judge answers neither yes nor no (together {one + other:.1e})")
    return one / (one + other)


def p_said(text: str, words: Sequence[str], others: Sequence[str]) -> float:
    """Returns 1 where an answer begins with one of `words`, 0 where with one of `others`.

    Raises:
        JudgeError: It begins with neither.
    """
    first = re.split(r"[^\w']", text.strip(), maxsplit=1)[0]
    for found, p in ((words, 1.0), (others, 0.0)):
        if first in found:
            return p
    raise JudgeError("the judge answers neither yes nor no")


def _mass(found: Candidates, tokens: SeenTokens, words: Sequence[str]) -> float:
    spelled = {each.encode() for each in words}
    return math.fsum(
        math.exp(log_p)
        for number, log_p in found.log_p.items()
        if (tokens[number] or b"").lstrip() in spelled
    )
