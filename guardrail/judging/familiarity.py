"""What a model's first step says of a request, and its own description of a picture.

Read off runs that somebody else started; what the numbers mean is the reference's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.backends import Interrupted, Run, Stop
from guardrail.backends.arrays import log_softmax
from guardrail.errors import JudgeError
from guardrail.judging.chair import Own
from guardrail.request.conversation import Conversation, question
from guardrail.request.settings import GenerationSettings

DESCRIBE = "Describe this picture."
"""What a model is asked about a request's pictures."""

DESCRIBING = GenerationSettings(max_new_tokens=24, temperature=0)
"""How it answers: greedily, and no longer than it takes to tell whether it knows what it sees."""


def first_tokens(run: Run, token_ids: Sequence[int]) -> npt.NDArray[np.float64]:
    """Returns the log-probabilities, in nats, of tokens as each answer's first.

    Args:
        run: Prefilled, and not begun.
        token_ids: (tokens,).

    Returns:
        (rows, tokens).

    Raises:
        JudgeError: The model has no such token.
    """
    real, _ = run.logits()
    if max(token_ids) >= real.shape[-1]:
        raise JudgeError(
            f"the reference names token {max(token_ids)}, and the model has {real.shape[-1]} tokens"
        )
    return np.asarray(log_softmax(real)[:, list(token_ids)].tolist(), np.float64)


def telling_tokens(logits: Sequence[Any], count: int) -> list[int]:
    """Returns the tokens whose log-probabilities differ most from request to request, ascending.

    Args:
        logits: Of some runs, (rows, candidates) each.
        count: How many; those that are out of reach somewhere are not among them.
    """
    rows = np.concatenate([np.asarray(log_softmax(each).tolist()) for each in logits])
    within = np.flatnonzero(np.isfinite(rows).all(0))
    most = np.argsort(-rows[:, within].var(0), kind="stable")[:count]
    return sorted(int(each) for each in within[most])


def shape_of(conversation: Conversation) -> str:
    """Returns what a request is made of, in words: how its prompt ends tells nothing of that."""
    count = len(conversation.pictures)
    said = [turn for turn in conversation.turns if turn.role != "system"]
    parts = {
        f"{count or 'no'} picture{'s' if count > 1 else ''}": True,
        "a system prompt": len(said) < len(conversation.turns),
        "earlier turns": len(said) > 1,
        "tools": bool(conversation.tools),
        "a form": conversation.form.constrains,
    }
    return ", ".join(part for part, there in parts.items() if there)


def described(
    own: Own, conversations: Sequence[Conversation], stop: Stop | None = None
) -> list[float]:
    """Returns how unsure a model is of what it sees, for each request that has a picture.

    Each picture is described by itself, and the one of which it is least sure counts: a known one
    beside a strange one makes it no better known.

    Args:
        own: Starts runs on the model.
        conversations: Requests; those without a picture are left out.
        stop: Asked before every token.

    Returns:
        Surprisals, nats a token.

    Raises:
        Interrupted: It was stopped.
    """
    shown = [each.pictures for each in conversations if each.pictures]
    asked = [question(DESCRIBE, [picture]) for pictures in shown for picture in pictures]
    if not asked:
        return []
    with closing(own(asked, DESCRIBING, stop)) as run:
        found = iter(surprisals(run, stop))
    return [max(next(found) for _ in pictures) for pictures in shown]


def surprisals(run: Run, stop: Stop | None = None) -> list[float]:
    """Returns how sure a model is of what it says, for each request.

    Args:
        run: Requests to describe pictures, with the settings `DESCRIBING`.
        stop: Asked before every token.

    Returns:
        The mean negative log-probability of the greedy answer's tokens, nats a token.

    Raises:
        Interrupted: It was stopped.
    """
    run.prefill(lambda _: nullcontext())
    rows = len(run.input_tokens)
    run.begin([None] * rows, seed=0)
    said: list[list[float]] = [[] for _ in range(rows)]
    going = [True] * rows
    while any(going):
        if stop is not None and stop():
            raise Interrupted
        logits, _ = run.logits()
        tokens = run.choose(logits)
        likely = log_softmax(logits)
        for row, token in enumerate(tokens):
            if going[row]:
                said[row].append(-float(likely[row, token]))
        going = [reason is None for reason in run.take(tokens)]
        if any(going):
            run.advance(noised=False)
    return [sum(each) / len(each) for each in said]
