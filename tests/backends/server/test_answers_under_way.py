"""Answers that are under way on a server while their verdicts are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from guardrail import Policy, SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.policy.terms import Action
from guardrail.request.settings import GenerationSettings
from tests.backends.server.test_backend import GREEDY, P, ask, local, of_p, policy, server


class Lines(httpx.SyncByteStream):
    """A stream's events, counted as they are read."""

    def __init__(self, text: str) -> None:
        self.lines = [f"{each}\n\n".encode() for each in text.split("\n\n") if each]
        self.read, self.closed = 0, False

    def __iter__(self) -> Iterator[bytes]:
        for each in self.lines:
            self.read += 1
            yield each

    def close(self) -> None:
        """Nobody reads on."""
        self.closed = True


class Streaming(httpx.BaseTransport):
    """The server of the tests, whose streams are read event by event."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.streams: list[Lines] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answers a request."""
        before = len(server().requests)
        answer = server().handle_request(request)
        self.bodies += server().requests[before:]
        if "event-stream" not in answer.headers.get("content-type", ""):
            return answer
        self.streams.append(Lines(answer.text))
        return httpx.Response(200, stream=self.streams[-1], headers=answer.headers)


def engine(transport: Streaming, action: Action, policy: Policy) -> SafeCoDe:
    client = ServerClient("http://model.test/v1", transport=transport)
    found = SafeCoDe(backend=ServerBackend(client), policy=policy, judge=of_p(P[action]))  # type: ignore[arg-type]
    transport.bodies.clear()
    return found


def never() -> Policy:
    """One that contrasts nothing."""
    base = policy()
    contrast = base.contrast.model_copy(update={"when": "never"})
    found: Policy = base.model_copy(update={"contrast": contrast})
    return found


def test_what_steering_does_not_change_is_one_request() -> None:
    transport = Streaming()
    found = engine(transport, "plain", never()).answer(ask(2), GREEDY)
    assert found.text == local().answer(ask(2), GREEDY, mode="off").text
    assert [each["max_tokens"] for each in transport.bodies] == [12]
    assert len(found.decision.steps) == 5
    assert all(each.closed for each in transport.streams)


def test_the_verdict_is_read_while_the_answer_is_under_way() -> None:
    transport = Streaming()
    client = ServerClient("http://model.test/v1", transport=transport)
    served = SafeCoDe(backend=ServerBackend(client), policy=never())
    transport.bodies.clear()
    assert served.answer(ask(2), GREEDY).decision.verdict.screened
    first, screen, *others = transport.bodies
    assert first["stream"]
    assert "yes or no" in str(screen["messages"])
    assert not any("yes or no" in str(each["messages"]) for each in others)


def test_a_screen_that_is_not_denied_leads_to_a_question_for_each_category() -> None:
    transport = Streaming()
    client = ServerClient("http://model.test/v1", transport=transport)
    served = SafeCoDe(backend=ServerBackend(client), policy=never())
    whole = never().judge.model_copy(update={"screen": {}})
    expected = served.decide(ask(1), policy=never().model_copy(update={"judge": whole}))
    transport.bodies.clear()
    verdict = served.decide(ask(1)).decision.verdict
    assert verdict.categories == expected.decision.verdict.categories
    assert (verdict.screened, verdict.screen is None) == ([], False)
    put = [str(each["messages"]) for each in transport.bodies]
    screens = [at for at, each in enumerate(put) if "cause harm? Answer yes or no" in each]
    asked = [at for at, each in enumerate(put) if "Answer yes or no" in each]
    assert screens == asked[:1]
    assert len(asked) > len(verdict.categories)


def test_where_steering_turns_away_another_answer_is_begun() -> None:
    transport = Streaming()
    found = engine(transport, "refuse", never()).answer(ask(1), GREEDY)
    unguarded, *_, last = transport.streams
    assert found.decision.steps[0].token != found.decision.steps[0].token_unguarded
    assert unguarded.closed
    assert unguarded.read < len(unguarded.lines)
    assert last.read == len(last.lines)


@pytest.mark.parametrize("kind", ["block", "stopped"])
def test_an_answer_that_is_not_wanted_is_closed(kind: str) -> None:
    transport = Streaming()
    base = never()
    verdict = base.verdict.model_copy(update={"on_unsafe": "block"})
    blocking = base.model_copy(update={"verdict": verdict}) if kind == "block" else base
    served = engine(transport, "refuse" if kind == "block" else "plain", blocking)
    stream = served.stream(ask(2), GREEDY)
    if kind == "stopped":
        next(stream)
        stream.close()
    else:
        assert [*stream][-1].decision.action == "block"  # type: ignore[union-attr]
    assert all(each.closed for each in transport.streams)


def test_a_stream_that_breaks_off_before_it_is_heard_is_done_without() -> None:
    class Torn(Streaming):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if len(self.streams) == 1:
                self.streams[0].lines = self.streams[0].lines[:2]
            return answer

    found = engine(Torn(), "plain", never()).answer(ask(2), GREEDY)
    assert found.text == local().answer(ask(2), GREEDY, mode="off").text


def test_sampled_answers_are_begun_once_they_are_drawn() -> None:
    transport = Streaming()
    sampled = GenerationSettings(max_new_tokens=8, temperature=0.7, seed=1)
    engine(transport, "plain", never()).answer(ask(2), sampled)
    assert "stream" not in transport.bodies[0]
