"""Log-probabilities of a served model's answer: the server's own, and those of what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.backends.server.candidates import Candidates
from guardrail.backends.server.capabilities import Capabilities
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.dialects.vllm import VLLM
from guardrail.backends.server.seen_tokens import FILLERS, SeenTokens
from guardrail.backends.server.spelling import Spelling
from guardrail.backends.server.streaming import streamed_tokens
from guardrail.backends.server.told_tokens import (
    check_told,
    steered_likelihoods,
    streamed_likelihood,
)
from guardrail.errors import ServerError, SettingsError
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from tests.backends.server.test_backend import GREEDY, P, ask, backend, local, of_p, policy, server

TOLD = replace(GREEDY, logprobs=True, top_logprobs=3)


def engines(p: float, dialect: Dialect | None = None) -> Iterator[SafeCoDe]:
    for each in (local().backend, backend(dialect)):
        yield SafeCoDe(backend=each, policy=policy(), judge=of_p(p))  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", [None, replace(VLLM, batches=False)])
@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_unsteered_they_are_those_of_the_model_in_this_process(
    mode: Any, dialect: Dialect | None
) -> None:
    here, there = (each.answer(ask(0), TOLD, mode=mode) for each in engines(0.5, dialect))
    assert here.logprobs
    assert there.logprobs is not None
    assert [e.token for e in there.logprobs] == [e.token for e in here.logprobs]
    for one, other in zip(here.logprobs, there.logprobs, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert one.bytes == other.bytes
        assert [e.token for e in one.top_logprobs] == [e.token for e in other.top_logprobs]


@pytest.mark.parametrize("action", P)
def test_guided_steps_are_near_those_of_the_model_in_this_process(action: Any) -> None:
    """Modulation is exact; the server's picture of the noised branch is as far as it shows it."""
    here, there = (each.answer(ask(1), TOLD) for each in engines(P[action]))
    assert here.text == there.text
    for one, other in zip(here.logprobs or (), there.logprobs or (), strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=2e-3)


def test_a_stream_and_a_batch_tell_what_the_answer_tells() -> None:
    _, served = engines(0.01)
    *deltas, answer = served.stream(ask(1), TOLD)
    told = [each for delta in deltas if isinstance(delta, Delta) for each in delta.logprobs]
    assert told == list(answer.logprobs)  # type: ignore[union-attr, arg-type]
    _, batched = served.batch([ask(0), ask(1)], TOLD)
    assert [each.token for each in batched.logprobs] == [each.token for each in told]
    assert [each.logprob for each in batched.logprobs] == pytest.approx(
        [each.logprob for each in told], abs=1e-5
    )


def test_nothing_is_asked_for_that_is_not_wanted() -> None:
    _, served = engines(0.01)
    before = len(server().requests)
    assert served.answer(ask(0), GREEDY, mode="off").logprobs is None
    served.answer(ask(0), replace(TOLD, top_logprobs=0), mode="off")
    plain, telling = server().requests[before:]
    assert "logprobs" not in plain
    assert (telling["logprobs"], telling["top_logprobs"]) == (True, 1)


@pytest.mark.parametrize(
    ("shows", "top", "message"),
    [
        (0, 0, "logprobs cannot be had: the server of 'm' .of kind 'plain'. shows no log-prob"),
        (5, 6, "top_logprobs is 6, and the server of 'm' .of kind 'plain'. shows 5"),
    ],
)
def test_a_server_that_cannot_is_named_before_anything_is_generated(
    shows: int, top: int, message: str
) -> None:
    found = Capabilities("m", Dialect("plain"), shows)
    settings = GenerationSettings(logprobs=True, top_logprobs=top)
    with pytest.raises(SettingsError, match=message):
        check_told(settings, found)
    check_told(GenerationSettings(), found)


def test_nothing_is_sent_to_a_server_that_cannot() -> None:
    sent: list[str] = []

    class Silent(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request.url.path)
            if request.method == "GET":
                return httpx.Response(200, json={"data": [{"id": "m"}]})
            message = {"role": "assistant", "content": "Yes"}
            return httpx.Response(200, json={"choices": [{"message": message}]})

    client = ServerClient("http://m.test/v1", transport=Silent())
    engine = SafeCoDe(backend=ServerBackend(client), policy=policy(), judge=of_p(0.01))  # type: ignore[arg-type]
    assert engine.backend.capabilities.shows == 0  # type: ignore[attr-defined]
    before = len(sent)
    with pytest.raises(SettingsError, match="logprobs cannot be had"):
        engine.answer(ask(0), TOLD)
    assert len(sent) == before


def test_what_was_not_shown_counts_and_is_not_told_of() -> None:
    a, b, other = FILLERS, FILLERS + 1, FILLERS + 2  # `other` was seen elsewhere
    shown = Candidates({a: math.log(0.5), b: math.log(0.25)}, 2)
    logits = shown.row(FILLERS + 3)[None, :]
    logits[:, :FILLERS] = -1e9  # as it is within reach
    [found] = steered_likelihoods(logits, [shown], [b], 5)
    assert found is not None
    assert found.log_p == pytest.approx(math.log(0.25), abs=1e-5)
    assert [token for token, _ in found.likeliest] == [a, b]
    logits[0, b] += math.log(4)  # boosted: of 0.5, 1.0 and the 0.25 that nobody has shown
    [found] = steered_likelihoods(logits, [shown], [b], 1)
    assert found is not None
    assert found.likeliest == ((b, pytest.approx(math.log(1 / 1.75), abs=1e-5)),)
    assert other not in dict(found.likeliest)
    whole = Candidates({a: 0.0}, 1)
    [found] = steered_likelihoods(np.array([[-1e9] * FILLERS + [0.0]]), [whole], [a], 2)
    assert found is not None
    assert (found.log_p, found.likeliest) == (0.0, ((a, 0.0),))


def entry(token: str, log_p: Any, *top: tuple[str, Any]) -> dict[str, Any]:
    listed = [{"token": each, "bytes": None, "logprob": value} for each, value in top]
    return {"token": token, "bytes": None, "logprob": log_p, "top_logprobs": listed}


@pytest.fixture
def spelling() -> Spelling:
    return Spelling(ServerClient("http://m.test/v1"), "m", Dialect("plain"), SeenTokens())


def test_an_entry_is_told_as_it_is_likeliest_first(spelling: Spelling) -> None:
    said = entry("x", -75.5, ("b", -2.0), ("a", -0.5), ("c", -9999.0), ("d", -70.0))
    found = streamed_likelihood(FILLERS, said, spelling, 3)
    assert found is not None
    assert found.log_p == -75.5
    names = [(spelling.tokens[token], log_p) for token, log_p in found.likeliest]
    assert names == [(b"a", -0.5), (b"b", -2.0), (b"d", -70.0)]
    assert streamed_likelihood(FILLERS, said, spelling, None) is None


def test_a_token_of_which_nothing_is_told_is_an_error_and_a_call_s_text_is_none(
    spelling: Spelling,
) -> None:
    word, end = spelling.tokens.number(b"word"), spelling.tokens.number(b"</s>", control=True)
    with pytest.raises(ServerError, match="tells no log-probability of a token"):
        streamed_likelihood(word, None, spelling, 1)
    with pytest.raises(ServerError, match="no number"):
        streamed_likelihood(word, entry("word", None, ("word", -0.5)), spelling, 1)
    assert streamed_likelihood(end, None, spelling, 1) is None
    assert streamed_likelihood(spelling.tokens.once(b"{}"), None, spelling, 1) is None


def test_a_long_token_keeps_what_is_told_of_it(spelling: Spelling) -> None:
    line = "-" * 64
    said = {"content": [entry(line, -0.5, (line, -0.5))]}
    event = {"choices": [{"delta": {"content": line}, "logprobs": said, "finish_reason": "stop"}]}
    [(token, told)] = streamed_tokens((each for each in [event]), spelling)
    assert token >= FILLERS
    assert told == said["content"][0]
