"""When an answer first helped with something harmful, counted in its tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from guardrail.embedded.turning import first_turn


def turned_at(
    token_ids: Sequence[int],
    harmful: Mapping[str, Sequence[str]],
    decode: Callable[[Sequence[int]], str],
) -> int | None:
    """Returns how many tokens an answer had when it first helped; None where it never did.

    Args:
        token_ids: The answer's.
        harmful: What helps with something harmful; see `dataset.Sample`.
        decode: Tokens to text.
    """

    def has_turned(count: int) -> bool:
        return first_turn(decode(token_ids[:count]), harmful) is not None

    if not harmful or not has_turned(len(token_ids)):
        return None
    return bisect_left(range(len(token_ids)), True, key=has_turned)
