"""A model behind a real server beside the same checkpoint in this process."""

from __future__ import annotations

from collections.abc import Sequence

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend
from guardrail.policy.terms import Action
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from tests.backends.server.test_backend import P, of_p, policy

UNLIKE_AT_MOST = 0.02
"""Share of answers that float differences may turn."""


def answered_alike(
    local: SafeCoDe,
    served: ServerBackend,
    action: Action,
    asked: Sequence[Conversation],
    settings: GenerationSettings,
    *,
    tokens: bool = True,
) -> list[Answer]:
    """Compares greedy answers; returns the server's.

    Args:
        local: The model in this process.
        served: The same behind a server.
        action: What is done to every request.
        asked: The requests.
        settings: Greedy.
        tokens: Whether guided tokens are compared, too: an answer that was replaced hides them.
    """
    here, there = (
        SafeCoDe(backend=each, policy=policy(), judge=of_p(P[action]))  # type: ignore[arg-type]
        for each in (local.backend, served)
    )
    answers, unlike = [], []
    for conversation in asked:
        one, other = (each.answer(conversation, settings) for each in (here, there))
        assert other.decision.action == action
        steps = [[each.token for each in answer.decision.steps] for answer in (one, other)]
        if one.text != other.text or (tokens and steps[0] != steps[1]):
            unlike.append((one.text, other.text))
        answers.append(other)
    alike = len(asked) - len(unlike)
    print(f"\n{action}: {alike} of {len(asked)} alike", *unlike, sep="\n  ")
    assert len(unlike) <= UNLIKE_AT_MOST * len(asked)
    return answers
