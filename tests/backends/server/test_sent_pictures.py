"""Pictures go to a server once, and are known there by names that nobody can guess."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.backends.server.dialects.vllm import VLLM
from guardrail.backends.server.sent_pictures import SentPictures
from guardrail.errors import ServerError
from tests.backends.server.openai_server import OpenAIServer
from tests.backends.server.test_backend import GREEDY, ask, local, policy


class Watched(httpx.BaseTransport):
    """Keeps what is sent.

    Args:
        loses: Whether it forgets each picture once it has answered; at its first use it does not.
        drops: Whether it leaves out, without a word, what it has no picture for.
        blind: Whether it takes no pictures.
    """

    def __init__(self, *, loses: bool = False, drops: bool = False, blind: bool = False) -> None:
        self.inner = OpenAIServer(local().backend)  # type: ignore[arg-type]
        self.loses, self.drops, self.blind = loses, drops, blind
        self.sent: list[dict[str, Any]] = []
        self.statuses: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read() or b"{}")
        parts = [
            part
            for message in body.get("messages", ())
            if isinstance(message["content"], list)
            for part in message["content"]
        ]
        pictures = [each for each in parts if each["type"] == "image_url"]
        self.sent += pictures
        if pictures and self.blind:
            return httpx.Response(400, json={"error": {"message": "no pictures here"}})
        if self.drops:
            for message in body.get("messages", ()):
                if isinstance(message["content"], list):
                    message["content"] = [
                        each for each in message["content"] if each.get("image_url", "") is not None
                    ]
            request = httpx.Request(request.method, request.url, json=body)
        found = self.inner.handle_request(request)
        if pictures:
            self.statuses.append(found.status_code)
        if self.loses:
            self.inner.pictures.clear()
        return found

    @property
    def whole(self) -> list[dict[str, Any]]:
        return [each for each in self.sent if each["image_url"] is not None]


def served(transport: Watched) -> SafeCoDe:
    backend = ServerBackend(ServerClient("http://m.test/v1", transport=transport), dialect=VLLM)
    _ = backend.capabilities
    return SafeCoDe(backend=backend, policy=policy())


def test_each_picture_of_a_request_is_sent_once() -> None:
    server = Watched()
    engine = served(server)
    server.sent.clear()
    found = engine.answer(ask(0), GREEDY)
    assert found.text == local().answer(ask(0), GREEDY).text
    assert found.decision.errors == []
    assert len(server.sent) > 8  # the questions, the answer, the other branch
    names = [each["uuid"] for each in server.whole]
    assert len(names) == len(set(names)) == 2  # the picture, and the one that it is compared with


def test_a_server_that_has_lost_a_picture_is_sent_it_again() -> None:
    server = Watched()
    engine = served(server)
    server.loses = True
    server.sent.clear()
    found = engine.answer(ask(0), GREEDY)
    assert found.text == local().answer(ask(0), GREEDY).text
    assert found.decision.errors == []
    assert 400 in server.statuses
    last = server.sent[-1]
    assert last["image_url"] is not None
    assert "uuid" not in last  # it is told no names any more


@pytest.mark.parametrize("fault", ["loses", "drops"])
def test_a_server_that_does_not_keep_pictures_is_told_no_names(fault: str) -> None:
    server = Watched(**{fault: True})
    engine = served(server)
    server.sent.clear()
    found = engine.answer(ask(0), GREEDY)
    assert not any("uuid" in each for each in server.sent)
    assert found.text == local().answer(ask(0), GREEDY).text


def test_a_server_that_takes_no_pictures_says_so() -> None:
    engine = served(Watched(blind=True))
    with pytest.raises(ServerError, match="no pictures here"):
        engine.answer(ask(0), GREEDY)


def test_a_dialect_that_names_no_pictures_is_told_no_names() -> None:
    server = Watched()
    client = ServerClient("http://m.test/v1", transport=server)
    backend = ServerBackend(client, dialect=replace(VLLM, names_pictures=False))
    SafeCoDe(backend=backend, policy=policy()).answer(ask(1), GREEDY)
    assert server.sent
    assert all("uuid" not in each for each in server.sent)


def test_a_name_is_of_the_pixels_and_tells_nothing_of_them() -> None:
    [one], [same], [other] = (ask(at).pictures for at in (0, 0, 1))
    names = [
        SentPictures(named=True).part(each, frozenset())["uuid"] for each in (one, same, other)
    ]
    assert names[0] == names[1] != names[2]
    assert one.digest[:8] not in names[0]
    assert len(names[0]) == 32
