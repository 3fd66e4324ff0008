"""Makes a model's reference: puts requests to it, and keeps what tells them from others.

They need no labels; what they have to be is typical of those on which the judge was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from guardrail.backends import Run
from guardrail.errors import JudgeError
from guardrail.judging.chair import Own
from guardrail.judging.familiarity import described, first_tokens, shape_of, telling_tokens
from guardrail.judging.reference import TOKENS, Reference
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

Part = Callable[[], Sequence[Conversation]]
"""Returns some requests: their pictures are held no longer than they are asked."""

Groups = Callable[[Sequence[Conversation]], Sequence[Sequence[int]]]
"""Returns which requests may run together, so that each is as it would be alone."""

TELLING = 64
"""Requests or so by which it is chosen which tokens tell requests apart."""

_READ = GenerationSettings(max_new_tokens=1, temperature=0)


def fit_reference(
    own: Own,
    parts: Sequence[Part],
    about: Mapping[str, str],
    *,
    groups: Groups,
    progress: Callable[[int], None] = lambda done: None,
) -> Reference:
    """Returns the reference of requests to a model.

    Args:
        own: Starts runs on it.
        parts: The requests.
        about: Where they came from, in words, by what.
        groups: Says which of a part's requests run together.
        progress: Called after each part with how many requests it had.

    Raises:
        GuardrailError: One cannot be put to the model.
        JudgeError: They are too few, or the model gives no finite numbers.
    """
    if not parts:
        raise JudgeError("there are no requests to make a reference of")
    token_ids = _telling(own, parts, groups)
    if not token_ids:
        raise JudgeError("the model gives log-probabilities that are no finite numbers")
    told, sure, shapes = [], list[float](), Counter[str]()
    for part in parts:
        count = 0
        for together in _grouped(part, groups):
            told.append(first_tokens(_prefilled(own, together), token_ids))
            sure += described(own, together)
            shapes.update(map(shape_of, together))
            count += len(together)
        progress(count)
    return Reference.fit(token_ids, np.concatenate(told), sure, about, shapes=shapes)


def _telling(own: Own, parts: Sequence[Part], groups: Groups) -> list[int]:
    """Returns the tokens that tell requests apart, by parts from all over."""
    every = max(1, len(parts) // max(1, TELLING // max(1, len(parts[0]()))))
    return telling_tokens(
        [
            _prefilled(own, together).logits()[0]
            for part in parts[::every]
            for together in _grouped(part, groups)
        ],
        TOKENS,
    )


def _grouped(part: Part, groups: Groups) -> Iterator[list[Conversation]]:
    given = part()
    for group in groups(given):
        yield [given[at] for at in group]


def _prefilled(own: Own, together: Sequence[Conversation]) -> Run:
    run = own(together, _READ, None)
    run.prefill(lambda _: nullcontext())
    return run
