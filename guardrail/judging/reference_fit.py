"""Makes a model's reference: puts requests to it, and keeps what tells them from others.

They need no labels; what they have to be is typical of those on which the judge was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from guardrail.errors import JudgeError
from guardrail.judging.chair import Own
from guardrail.judging.familiarity import (
    DESCRIBING,
    about_pictures,
    first_tokens,
    surprisals,
    telling_tokens,
)
from guardrail.judging.reference import TOKENS, Reference
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

TELLING = 64
"""Requests or so by which it is chosen which tokens tell requests apart."""

_READ = GenerationSettings(max_new_tokens=1, temperature=0)


def fit_reference(
    own: Own,
    parts: Sequence[Sequence[Conversation]],
    about: Mapping[str, str],
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Reference:
    """Returns the reference of requests to a model.

    Args:
        own: Starts runs on it.
        parts: The requests, those together that run together.
        about: Where they came from, in words, by what.
        progress: Called after each part with how many requests it had.

    Raises:
        GuardrailError: One cannot be put to the model.
        JudgeError: They are too few, or the model gives no finite numbers.
    """
    if not parts:
        raise JudgeError("there are no requests to make a reference of")
    token_ids = _telling(own, parts)
    if not token_ids:
        raise JudgeError("the model gives log-probabilities that are no finite numbers")
    told, described = [], list[float]()
    for part in parts:
        run = own(part, _READ, None)
        run.prefill(lambda _: nullcontext())
        told.append(first_tokens(run, token_ids))
        asked = [found for each in part if (found := about_pictures(each)) is not None]
        if asked:
            described += surprisals(own(asked, DESCRIBING, None))
        progress(len(part))
    return Reference.fit(token_ids, np.concatenate(told), described, about)


def _telling(own: Own, parts: Sequence[Sequence[Conversation]]) -> list[int]:
    """Returns the tokens that tell requests apart, by parts from all over."""
    every = max(1, len(parts) // max(1, TELLING // max(1, len(parts[0]))))
    logits = []
    for part in parts[::every]:
        run = own(part, _READ, None)
        run.prefill(lambda _: nullcontext())
        logits.append(run.logits()[0])
    return telling_tokens(logits, TOKENS)
