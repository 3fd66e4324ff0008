"""Openings: an answer is begun with fixed words, whatever the model would have said.

Which words is the policy's business. The array functions are pure, and know nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from array_api_compat import array_namespace

from guardrail.backends.arrays import Array, softmax
from guardrail.policy import Policy
from guardrail.policy.terms import Action
from guardrail.steering.published_code import forcible

Opening = tuple[int, ...]
"""The tokens that an answer is begun with, at least one."""

_OUT_OF_REACH = -1e9
"""A logit that no other comes near, and finite, so that nothing made of it is NaN."""


def openings_of(
    policy: Policy, action: Action, tokens: Callable[[str], Sequence[int]]
) -> tuple[Opening, ...]:
    """Returns the openings of which an answer is begun with the likeliest; none where it is free.

    Args:
        policy: Of form `opening`: its words for the action. Of form `published-code`: where it
            refuses, its phrases, no longer than the guided steps.
        action: What was decided.
        tokens: What the model's tokenizer makes of a text.
    """
    modulation = policy.modulation
    if modulation.form == "opening":
        words = {"comply": modulation.openings.comply, "refuse": modulation.openings.refuse}
        texts: tuple[str, ...] = (words.get(action, ""),)
        longest = None
    elif modulation.form == "published-code" and action == "refuse":
        texts = forcible(modulation.beginnings or policy.phrases)
        longest = policy.contrast.guided_steps
    else:
        return ()
    found = (tuple(tokens(text))[:longest] for text in texts if text)
    return tuple(dict.fromkeys(each for each in found if each))


def likeliest(logits: Array, openings: Sequence[Opening]) -> Opening:
    """Returns the opening whose tokens are likeliest to come next; of equals, the first.

    The probabilities of all its tokens as the *next* one are added up, so that a long opening has
    an advantage.

    Args:
        logits: (vocabulary,) of the next token.
        openings: At least one.

    Source: the code released with SafeCoDe (see `published_code`).
    """
    if len(openings) == 1:
        return openings[0]
    p = softmax(logits)
    return max(openings, key=lambda opening: sum(float(p[token]) for token in opening))


def forced(logits: Array, tokens: Sequence[int | None]) -> Array:
    """Returns logits in which each row's token is certain; None leaves a row as it is.

    Args:
        logits: (batch, vocabulary), float; not changed.
        tokens: One per row.
    """
    if all(token is None for token in tokens):
        return logits
    certain = array_namespace(logits).asarray(logits, copy=True)
    for row, token in enumerate(tokens):
        if token is not None:
            certain[row, :] = _OUT_OF_REACH
            certain[row, token] = 0.0
    return certain
