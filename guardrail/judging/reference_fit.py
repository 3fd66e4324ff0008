"""Makes a model's reference: puts requests to it, and keeps what tells them from others.

They need no labels; what they have to be is typical of those on which the judge was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from guardrail.backends import Backend, Run, Stop
from guardrail.errors import JudgeError
from guardrail.judging.familiarity import described, first_tokens, shape_of, telling_tokens
from guardrail.judging.reference import TOKENS, Reference
from guardrail.request.conversation import Conversation
from guardrail.request.settings import ONE_TOKEN, GenerationSettings

Part = Callable[[], Sequence[Conversation]]
"""Returns some requests: their pictures are held no longer than they are asked."""

TELLING = 64
"""Requests or so by which it is chosen which tokens tell requests apart."""


def fit_reference(
    backend: Backend,
    parts: Sequence[Part],
    about: Mapping[str, str],
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Reference:
    """Returns the reference of requests to a model.

    Args:
        backend: Runs it.
        parts: The requests.
        about: Where they came from, in words, by what.
        progress: Called after each part with how many requests it had.

    Raises:
        GuardrailError: One cannot be put to the model.
        JudgeError: They are too few, or the model gives no finite numbers.
    """
    if not parts:
        raise JudgeError("there are no requests to make a reference of")
    token_ids = _telling(backend, parts)
    if not token_ids:
        raise JudgeError("the model gives log-probabilities that are no finite numbers")

    def own(asked: Sequence[Conversation], settings: GenerationSettings, stop: Stop | None) -> Run:
        return backend.start(asked, settings, stop=stop)

    told, sure, shapes = [], list[float](), Counter[str]()
    for part in parts:
        count = 0
        for together in _grouped(backend, part):
            told.append(first_tokens(_prefilled(backend, together), token_ids))
            sure += described(own, together)
            shapes.update(map(shape_of, together))
            count += len(together)
        progress(count)
    return Reference.fit(token_ids, np.concatenate(told), sure, about, shapes=shapes)


def _telling(backend: Backend, parts: Sequence[Part]) -> list[int]:
    """Returns the tokens that tell requests apart, by parts from all over."""
    every = max(1, len(parts) // max(1, TELLING // max(1, len(parts[0]()))))
    return telling_tokens(
        [
            _prefilled(backend, together).logits()[0]
            for part in parts[::every]
            for together in _grouped(backend, part)
        ],
        TOKENS,
    )


def _grouped(backend: Backend, part: Part) -> Iterator[list[Conversation]]:
    """Yields a part's requests, those together that may run together."""
    given = part()
    for group in backend.groups(given):
        yield [given[at] for at in group]


def _prefilled(backend: Backend, together: Sequence[Conversation]) -> Run:
    run = backend.start(together, ONE_TOKEN)
    run.prefill(lambda _: nullcontext())
    return run
