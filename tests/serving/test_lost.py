"""What clients are told when a replica dies under them, as Ray Serve's proxy sees it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from guardrail.serving.lost import PROXY_CALLBACK, LostReplicas, in_proxy

JSON = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json")],
}
EVENTS = {**JSON, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]}
PLAIN_503 = {"type": "http.response.start", "status": 503, "headers": []}


def piece(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def told(messages: Sequence[Any], kind: str = "http") -> list[Any]:
    """Returns what a client is sent when a replica says so much, and then no more."""
    sent: list[Any] = []

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async def send(message: Any) -> None:
        sent.append(message)

    await LostReplicas(proxy)({"type": kind}, None, send)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize(
    "messages",
    [
        [JSON, piece(b"{}", False)],
        [EVENTS, piece(b"data: a\n\n", True), piece(b"", False)],
        [{**JSON, "status": 503}, piece(b"{}", False)],
    ],
)
async def test_a_whole_answer_is_left_as_it_is(messages: list[Any]) -> None:
    assert await told(messages) == messages


@pytest.mark.parametrize(
    ("messages", "code"),
    [([], "replica_lost"), ([PLAIN_503, piece(b"unavailable", False)], "no_replica")],
)
async def test_an_answer_that_never_began_is_an_error_to_try_again(
    messages: list[Any], code: str
) -> None:
    start, body = await told(messages)
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == code


async def test_a_stream_that_breaks_off_ends_with_an_error_and_is_not_done() -> None:
    sent = await told([EVENTS, piece(b"data: a\n\n", True)])
    assert sent[:2] == [EVENTS, piece(b"data: a\n\n", True)]
    assert not sent[2]["more_body"]
    line = sent[2]["body"].removeprefix(b"data: ")
    assert json.loads(line)["error"]["code"] == "replica_lost"


async def test_another_answer_that_breaks_off_is_cut_off() -> None:
    messages = [JSON, piece(b"{", True)]
    assert await told(messages) == messages  # no end: whoever sends it closes the connection


async def test_what_is_no_request_is_left_alone() -> None:
    assert await told([], "lifespan") == []


def test_rays_proxy_is_told_by_the_name_that_is_there() -> None:
    assert f"{in_proxy.__module__}:{in_proxy.__name__}" == PROXY_CALLBACK
    assert [each.cls for each in in_proxy()] == [LostReplicas]
