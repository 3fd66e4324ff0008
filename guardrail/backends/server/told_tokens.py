"""How likely a server's tokens were: in guided steps from what was shown, after them as it says.

No number is made up. A token that was not shown is not told of, and what was not shown at all
counts together, as likely as it was before steering: that is exact for contrast and modulation by
default, which leave it as it is, and an approximation in the forms of the paper, which do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from guardrail.backends.likelihood import Likelihood, bounded, can_come, likelihoods
from guardrail.backends.server.candidates import LEAST_SHOWN, Candidates, told_at, weighed
from guardrail.backends.server.capabilities import Capabilities
from guardrail.backends.server.draws import Logits
from guardrail.backends.server.seen_tokens import FILLERS
from guardrail.backends.server.spelling import Spelling
from guardrail.errors import ServerError, SettingsError
from guardrail.request.logprobs import LEAST_LOGPROB
from guardrail.request.settings import GenerationSettings


def check_told(settings: GenerationSettings, capabilities: Capabilities) -> None:
    """Makes sure that a server tells the log-probabilities that are wanted.

    Raises:
        SettingsError: It does not.
    """
    if not settings.logprobs:
        return
    named = f"the server of {capabilities.model!r} (of kind {capabilities.dialect.name!r})"
    if not capabilities.shows:
        raise SettingsError(f"logprobs cannot be had: {named} shows no log-probabilities")
    if settings.top_logprobs > capabilities.shows:
        raise SettingsError(
            f"top_logprobs is {settings.top_logprobs}, and {named} shows {capabilities.shows} of "
            "the likeliest tokens at most"
        )


def steered_likelihoods(
    logits: Logits, shown: Sequence[Candidates], tokens: Sequence[int], count: int
) -> list[Likelihood | None]:
    """Returns how likely tokens are that are about to be taken in a guided step.

    Args:
        logits: What they were chosen from, within reach, (rows, tokens seen so far).
        shown: What the server has shown of each row's next token.
        tokens: One per row.
        count: How many of the likeliest tokens are told.
    """
    whole = logits.copy()
    unseen = [1.0 - each.shown for each in shown]
    whole[:, 0] = [math.log(each) if each > 0 else LEAST_LOGPROB * 2 for each in unseen]
    most = max(len(each.log_p) for each in shown) + 1  # what is not shown stands among them
    found = likelihoods(whole, tokens, most)
    return [
        Likelihood(each.log_p, tuple(e for e in each.likeliest if _is_shown(*e, row))[:count])
        for each, row in zip(found, shown, strict=True)
    ]


def _is_shown(token: int, _: float, row: Candidates) -> bool:
    return token >= FILLERS and row.log_p.get(token, LEAST_SHOWN) > LEAST_SHOWN


def streamed_likelihood(
    token: int, entry: Any, spelling: Spelling, count: int | None
) -> Likelihood | None:
    """Returns how likely a token of a stream was, as the server says.

    Args:
        token: Its number.
        entry: Its entry of log-probabilities; None only of control tokens, and of calls, which come
            as text.
        spelling: What tokens spell.
        count: How many of the likeliest tokens are told; None where nothing is wanted.

    Raises:
        ServerError: It tells nothing, or what is no distribution.
    """
    if count is None or (entry is None and (token < 0 or spelling.tokens.is_control(token))):
        return None
    if entry is None:
        raise ServerError("the server tells no log-probability of a token of its answer")
    told = told_at(entry, least=LEAST_LOGPROB)
    _, own = weighed(entry, LEAST_LOGPROB)
    numbers = spelling.numbers([each for each, _ in told.ranked])
    ranked = dict(zip(numbers, (log_p for _, log_p in told.ranked), strict=True))
    best = sorted(ranked.items(), key=lambda each: -each[1])[:count]
    return Likelihood(bounded(own), tuple((n, min(p, 0.0)) for n, p in best if can_come(p)))
