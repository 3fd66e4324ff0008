"""What a server does wrong: every request ends in an error or on record, and none unguarded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.backends.server.client import TRIES
from guardrail.errors import ServerError
from guardrail.record.decision import Decision
from tests.backends.server.test_backend import GREEDY, ask, policy, server

Change = Callable[[dict[str, Any], httpx.Response], httpx.Response]


class Faulty(httpx.BaseTransport):
    """A server that answers as `change` says, once it has been found out what it can do."""

    def __init__(self, change: Change, *, good: int = 6) -> None:
        self.change, self.good, self.asked = change, good, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = server().handle_request(request)
        if not request.url.path.endswith("/chat/completions"):
            return answer
        self.asked += 1
        if self.asked <= self.good:
            return answer
        body = json.loads(request.read() or b"{}")
        return self.change(body, answer)


class Noted:
    """Keeps decisions."""

    def __init__(self) -> None:
        self.seen: list[Decision] = []

    def begin(self, record: Any) -> None:
        """Nothing."""

    def __call__(self, decision: Decision) -> None:
        self.seen.append(decision)


def engine(transport: httpx.BaseTransport) -> SafeCoDe:
    client = ServerClient("http://m.test/v1", transport=transport, sleep=lambda _: None)
    return SafeCoDe(backend=ServerBackend(client), policy=policy())


def told(tell: Callable[[Any], Any]) -> Change:
    """Changes the log-probabilities of an answer, or of each event of a stream."""

    def told_otherwise(said: Any) -> str:
        for choice in said["choices"]:
            choice["logprobs"] = tell(choice.get("logprobs"))
        return json.dumps(said)

    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        if not body.get("stream"):
            return httpx.Response(200, text=told_otherwise(answer.json()))
        *events, done = [each.removeprefix("data: ") for each in answer.text.split("\n\n") if each]
        lines = [*(told_otherwise(json.loads(each)) for each in events), done]
        return httpx.Response(200, text="".join(f"data: {each}\n\n" for each in lines))

    return change


def with_log_p(value: Any) -> Change:
    def tell(log_p: Any) -> Any:
        if log_p:
            log_p["content"][0]["top_logprobs"][0]["logprob"] = value
        return log_p

    return told(tell)


@pytest.mark.parametrize(
    "change",
    [
        with_log_p(float("nan")),
        with_log_p("much"),
        with_log_p(3.0),
        with_log_p(None),
        told(lambda log_p: None),
        lambda body, answer: httpx.Response(200, text="<html>"),
        lambda body, answer: httpx.Response(200, json=[]),
        lambda body, answer: httpx.Response(200, json={"choices": []}),
        lambda body, answer: httpx.Response(400, json={"error": {"message": "no"}}),
        lambda body, answer: httpx.Response(503),
    ],
)
def test_an_answer_that_is_none_is_one_clear_error(change: Change) -> None:
    with pytest.raises(ServerError, match="the server"):
        engine(Faulty(change)).answer(ask(1), GREEDY)


def test_a_broken_connection_is_tried_again() -> None:
    broken = 0

    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        nonlocal broken
        if broken < TRIES - 1:
            broken += 1
            raise httpx.ReadError("reset")
        return answer

    found = engine(Faulty(change)).answer(ask(1), GREEDY)
    assert found.decision.action == "comply"
    assert broken == TRIES - 1


def test_a_server_that_stays_down_is_one_clear_error() -> None:
    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerError, match="cannot be reached"):
        engine(Faulty(change)).answer(ask(1), GREEDY)


def test_a_busy_server_is_waited_for_as_long_as_it_says() -> None:
    waited: list[float] = []

    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        return answer if waited else httpx.Response(429, headers={"retry-after": "3"})

    client = ServerClient("http://m.test/v1", transport=Faulty(change), sleep=waited.append)
    SafeCoDe(backend=ServerBackend(client), policy=policy()).answer(ask(1), GREEDY)
    assert waited == [3.0]


def test_a_judge_that_cannot_be_read_is_unavailable_and_blocks() -> None:
    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        asked = json.dumps(body["messages"][-1])
        return httpx.Response(400) if "Answer yes or no" in asked else answer

    found = engine(Faulty(change)).answer(ask(1), GREEDY)
    assert (found.decision.action, found.decision.verdict.label) == ("block", "unavailable")


@pytest.mark.parametrize("lines", [2, 0])
def test_a_stream_that_breaks_off_is_an_error_and_on_record(lines: int) -> None:
    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        if not body.get("stream"):
            return answer
        return httpx.Response(200, text="\n\n".join(answer.text.split("\n\n")[:lines]) + "\n\n")

    with pytest.raises(ServerError, match="broke off"):
        engine(Faulty(change)).answer(ask(1), GREEDY)


def test_a_stream_that_reports_an_error_raises() -> None:
    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        if not body.get("stream"):
            return answer
        return httpx.Response(200, text='data: {"error": {"message": "dead"}}\n\n')

    with pytest.raises(ServerError, match="in the middle"):
        engine(Faulty(change)).answer(ask(1), GREEDY)


def test_an_answer_without_end_is_an_error() -> None:
    def change(body: dict[str, Any], answer: httpx.Response) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b" " * 2**20

    with pytest.raises(ServerError, match="no end"):
        engine(Faulty(change)).answer(ask(1), GREEDY)


def test_a_password_in_the_address_is_sent_and_not_shown() -> None:
    sent: list[str] = []

    class Down(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request.headers["authorization"])
            raise httpx.ConnectError("refused")

    client = ServerClient("https://me:s3cret@m.test/v1/", transport=Down(), sleep=lambda _: None)
    with pytest.raises(ServerError, match=r"'https://m\.test/v1' cannot be reached") as raised:
        SafeCoDe(backend=ServerBackend(client), policy=policy()).answer(ask(1), GREEDY)
    assert "s3cret" not in str(raised.value)
    assert set(sent) == {"Basic bWU6czNjcmV0"}


@pytest.mark.parametrize(
    "address", ["", "model.test/v1", "localhost:8000", "ftp://m/v1", "http://"]
)
def test_an_address_that_is_none_is_an_error_at_once(address: str) -> None:
    with pytest.raises(ServerError, match="address"):
        ServerClient(address)


def test_a_name_in_the_address_and_a_key_are_one_too_many() -> None:
    with pytest.raises(ServerError, match="not both"):
        ServerClient("https://me:s3cret@m.test/v1", api_key="k")
