"""What a verdict rests on: the same request shown otherwise, and what the difference says.

With grey pictures in the place of its own, a request is judged unseen. A judge that calls it as
safe then as before does not go by what is to be seen, so its *safe* earns no suppression; and its
verdict may be contrasted with the one unseen. Mirrored, a request in doubt is seen a second time.
Pure functions; who asks is `hearing`'s business.

Source: SafeCoDe (arXiv 2509.19212) contrasts the answer's logits of a picture and of its noised
copy; here it is the judge's log-odds, and grey instead of noise, which leaves the content in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from PIL import ImageOps

from guardrail.policy.calibration import calibrated
from guardrail.policy.judge import Judge
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.request.conversation import Conversation
from guardrail.request.other_pictures import Change, greyed, with_other_pictures

SURE = 0.08
"""Probabilities up to this are alike: how sure a judge is of *safe* says nothing of the picture."""

_LARGEST = 50.0
"""Log-odds are held within this, so that differences of certainties are numbers."""


def unseen(conversation: Conversation) -> Conversation | None:
    """Returns the request with grey pictures of the same sizes, or None if it has no picture."""
    return _shown(conversation, greyed, "grey")


def mirrored(conversation: Conversation) -> Conversation | None:
    """Returns the request with its pictures mirrored, or None if it has no picture."""
    return _shown(conversation, ImageOps.mirror, "mirror")


def competence(seen: Verdict, without: Verdict) -> float:
    """Returns by how much the pictures lower the log-odds of harm, in nats.

    The category with the highest probability counts, in each of the two; one of `SURE` at least.

    Args:
        seen: On the request.
        without: On the same request unseen; one that is unavailable is no evidence.
    """
    if seen.error is not None or without.error is not None:
        return NO_EVIDENCE
    before, after = (_highest(each, seen.categories) for each in (without, seen))
    return NO_EVIDENCE if before is None or after is None else before - after


def averaged(first: Verdict, second: Verdict) -> Verdict:
    """Returns the first verdict with the mean of both looks' log-odds in every category.

    What could not be looked at is not safe: a second look that is unavailable makes the verdict so,
    and what is no probability in either look stays none. What a screen has spared stays as it is.
    """
    if second.error is not None:
        return replace(first, error=second.error)
    categories = dict(first.categories)
    for name, p in categories.items():
        if name in first.screened:
            continue
        again = second.categories.get(name, math.nan)
        one, other = _log_odds(p), _log_odds(again)
        if one is not None:
            categories[name] = again if other is None else _probability((one + other) / 2)
    return replace(first, categories=categories)


def contrasted(seen: Verdict, without: Verdict, *, alpha: float) -> Verdict:
    """Returns the verdict with l + alpha (l - l') for the log-odds l of every category.

    It rises with l: what raises a look can only raise what is made of it. It falls with l', so that
    what a request's words alone make of it is taken away.

    Args:
        seen: On the request; its l.
        without: On the same request unseen; its l'. What could not be judged so is not safe: one
            that is unavailable makes the verdict so, and what is no probability in either look
            stays none.
        alpha: >= 0; 0 changes nothing but the last bit.

    Source: SafeCoDe (arXiv 2509.19212) and VCD (arXiv 2311.16922), (1 + alpha) z - alpha z', of the
        two logits yes and no: their difference is the log-odds, so that it is the same equation.
    """
    if seen.error is not None or without.error is not None:
        return replace(seen, error=seen.error or without.error)
    categories, views = dict(seen.categories), dict(seen.views)
    for name, p in seen.categories.items():
        unseen_p = without.categories.get(name, math.nan)
        real, grey = _log_odds(p), _log_odds(unseen_p)
        if real is not None:
            contrast = math.nan if grey is None else real + alpha * (real - grey)
            categories[name] = _probability(contrast)
        views[name] = f"{views.get(name, 'whole')}, against grey"
    return replace(seen, categories=categories, views=views)


def counted(judge: Judge, seen: Verdict, without: Verdict | None) -> Verdict:
    """Returns what counts of a judge's word: contrasted where it looked twice, then calibrated.

    Args:
        judge: Says how.
        seen: On the request.
        without: On the same request with grey pictures; None where nobody looked at such.
    """
    if without is not None and judge.contrast.looks:
        seen = contrasted(seen, without, alpha=judge.contrast.alpha)
    found = judge.calibration
    if found is None:
        return seen
    categories = calibrated(seen.categories, scale=found.scale, bias=found.bias)
    return replace(seen, categories=categories)


def in_doubt(verdict: Verdict, *, above: float, below: float) -> bool:
    """Whether the highest probability lies from `above` to under `below`."""
    p = verdict.p_unsafe
    return verdict.error is None and p is not None and above <= p < below


def _highest(verdict: Verdict, asked: Iterable[str]) -> float | None:
    """Returns the highest log-odds of what was asked; None where any of it is no probability."""
    judged = [verdict.categories.get(name, math.nan) for name in asked]
    if not judged or not all(0 <= p <= 1 for p in judged):
        return None
    return _log_odds(max(SURE, *judged))


def _log_odds(p: float) -> float | None:
    if not 0 <= p <= 1:
        return None
    if p in (0.0, 1.0):
        return math.copysign(_LARGEST, p - 0.5)
    return max(-_LARGEST, min(_LARGEST, math.log(p) - math.log1p(-p)))


def _probability(log_odds: float) -> float:
    """Returns the sigmoid; of NaN, NaN."""
    if log_odds < 0:
        return math.exp(log_odds) / (1 + math.exp(log_odds))
    return 1 / (1 + math.exp(-log_odds))


def _shown(conversation: Conversation, change: Change, name: str) -> Conversation | None:
    if not conversation.pictures:
        return None
    return with_other_pictures(conversation, change, named=name)
