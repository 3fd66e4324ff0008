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

AT_MOST_APART = 5e-3
"""Of log-probabilities, in nats: llama.cpp caches keys and values in 16 bits."""


def answered_alike(
    local: SafeCoDe,
    served: ServerBackend,
    action: Action,
    asked: Sequence[Conversation],
    settings: GenerationSettings,
) -> list[Answer]:
    """Compares greedy answers; returns the server's.

    Guided tokens are compared as far as what was said reads as the tokens that it was said in: a
    server is told what an answer begins with as text.

    Args:
        local: The model in this process.
        served: The same behind a server.
        action: What is done to every request.
        asked: The requests.
        settings: Greedy.
    """
    here, there = (
        SafeCoDe(backend=each, policy=policy(), judge=of_p(P[action]))  # type: ignore[arg-type]
        for each in (local.backend, served)
    )
    answers, unlike, cut = [], [], 0
    for conversation in asked:
        one, other = (each.answer(conversation, settings) for each in (here, there))
        assert other.decision.action == action
        steps = [[each.token for each in answer.decision.steps] for answer in (one, other)]
        read = _read_as_said(local, one)
        cut += read < len(steps[0])
        if steps[0][:read] != steps[1][:read] or (read == len(steps[0]) and one.text != other.text):
            unlike.append((one.text, other.text))
        answers.append(other)
    alike = len(asked) - len(unlike)
    print(f"\n{action}: {alike} of {len(asked)} alike, {cut} in part", *unlike, sep="\n  ")
    assert len(unlike) <= UNLIKE_AT_MOST * len(asked)
    return answers


def _read_as_said(local: SafeCoDe, answer: Answer) -> int:
    """Returns how many guided tokens come after a text that reads as the tokens before them."""
    backend = local.backend
    said = [each.token for each in answer.decision.steps]
    for at in range(len(said)):
        read = backend.tokens("".join(said[:at]).removeprefix(" "))
        if [backend.spell([each]).lstrip() for each in read] != [e.lstrip() for e in said[:at]]:
            return at
    return len(said)


def told_alike(
    local: SafeCoDe,
    served: ServerBackend,
    asked: Sequence[Conversation],
    settings: GenerationSettings,
) -> None:
    """Compares log-probabilities of answers that nothing steers with those of this process."""
    there = SafeCoDe(backend=served, policy=local.policy, judge=lambda request: 0.5)
    apart = 0.0
    for conversation in asked:
        for mode in ("off", "shadow"):
            one, other = (each.answer(conversation, settings, mode=mode) for each in (local, there))
            assert one.logprobs
            assert other.logprobs is not None
            assert [e.token for e in one.logprobs] == [e.token for e in other.logprobs]
            for here, told in zip(one.logprobs, other.logprobs, strict=True):
                assert len(told.top_logprobs) == settings.top_logprobs
                apart = max(apart, abs(here.logprob - told.logprob))
    print(f"\nlog-probabilities differ by at most {apart:.1e}")
    assert apart <= AT_MOST_APART
