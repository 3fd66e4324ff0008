"""What a verdict rests on: the same request shown otherwise, and what the difference says.

With grey pictures in the place of its own, a request is judged unseen. A judge that calls it as
safe then as before does not go by what is to be seen, so its *safe* earns no suppression. Mirrored,
a request in doubt is seen a second time. Pure functions; who asks is `deciding`'s business.

Source: SafeCoDe (arXiv 2509.19212) contrasts the answer's logits of a picture and of its noised
copy; here it is the judge's log-odds, and grey instead of noise, which leaves the content in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from PIL import Image, ImageOps

from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation, Picture

NO_EVIDENCE = -100.0
"""Competence where there is nothing to go by: no picture, or grey ones could not be judged."""

_GREY = (127, 127, 127)
_LARGEST = 50.0
"""Log-odds are held within this, so that differences of certainties are numbers."""


def unseen(conversation: Conversation) -> Conversation | None:
    """Returns the request with grey pictures of the same sizes, or None if it has no picture."""
    return _shown(conversation, lambda image: Image.new("RGB", image.size, _GREY), "grey")


def mirrored(conversation: Conversation) -> Conversation | None:
    """Returns the request with its pictures mirrored, or None if it has no picture."""
    return _shown(conversation, ImageOps.mirror, "mirror")


def competence(seen: Verdict, without: Verdict) -> float:
    """Returns by how much the pictures lower the log-odds of harm, in nats.

    The category with the highest probability counts, in each of the two.

    Args:
        seen: On the request.
        without: On the same request unseen; one that is unavailable is no evidence.
    """
    before, after = _highest(without), _highest(seen)
    return NO_EVIDENCE if before is None or after is None else before - after


def averaged(first: Verdict, second: Verdict) -> Verdict:
    """Returns the first verdict with the mean of both looks' log-odds in every category.

    A second look that is unavailable, or has no probability for a category, changes nothing there.
    """
    if second.error is not None:
        return first
    categories = dict(first.categories)
    for name, p in categories.items():
        one, other = _log_odds(p), _log_odds(second.categories.get(name, math.nan))
        if one is not None and other is not None:
            categories[name] = 1 / (1 + math.exp(-(one + other) / 2))
    return replace(first, categories=categories)


def _highest(verdict: Verdict) -> float | None:
    p = verdict.p_unsafe
    return None if verdict.error is not None or p is None else _log_odds(p)


def _log_odds(p: float) -> float | None:
    if not 0 <= p <= 1:
        return None
    if p in (0.0, 1.0):
        return math.copysign(_LARGEST, p - 0.5)
    return max(-_LARGEST, min(_LARGEST, math.log(p) - math.log1p(-p)))


def _shown(
    conversation: Conversation, change: Callable[[Image.Image], Image.Image], name: str
) -> Conversation | None:
    if not conversation.pictures:
        return None
    turns = tuple(
        replace(
            turn,
            parts=tuple(
                part
                if isinstance(part, str)
                else Picture(change(part.image), f"{name} {part.digest}")
                for part in turn.parts
            ),
        )
        for turn in conversation.turns
    )
    return replace(conversation, turns=turns)
