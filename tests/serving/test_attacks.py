"""What is sent to break a server, or to be let in by mistake: refused in one clear error."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from guardrail import ChatSafeCoDe, Policy, SafeCoDe
from guardrail.serving import doorway
from guardrail.serving.app import create_app
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.serving.served import (
    COMPLETIONS,
    PICTURES,
    backend,
    body,
    chat,
    client,
    hashed,
    headers,
    listening,
)

KEYS = Tenants([(hashed("k-shop"), Tenant("shop")), (hashed("k-lab"), Tenant("lab"))])
JSON = {"content-type": "application/json"}
SECRET = PICTURES / "cliff-edge.png"


def sent(content: str | bytes) -> tuple[int, Any]:
    found = client().post(COMPLETIONS, content=content, headers=JSON)
    return found.status_code, found.json().get("error")


def asking(more: str = "", messages: str = '[{"role": "user", "content": "hi"}]') -> str:
    return f'{{"messages": {messages}, "max_tokens": 2{more}}}'


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": SECRET.as_uri()}},
        {"type": "image_url", "image_url": {"url": str(SECRET)}},
        {"type": "image_url", "image_url": str(SECRET)},
        {"type": "image", "path": str(SECRET)},
        {"type": "image", "url": SECRET.as_uri()},
        {"type": "image", "source": {"type": "path", "path": str(SECRET)}},
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
    ],
)
def test_no_request_reads_a_file_of_this_machine_or_an_address_of_its_network(
    block: dict[str, Any],
) -> None:
    asked = {"messages": [{"role": "user", "content": [block]}], "max_tokens": 2}
    found = client().post(COMPLETIONS, json=asked)
    assert (found.status_code, found.json()["error"]["code"]) == (400, "invalid_picture")


@pytest.mark.parametrize(
    "given",
    [
        [("authorization", "Bearer k-shop"), ("authorization", "Bearer k-lab")],
        [("authorization", "Bearer k-shop"), ("Authorization", "Bearer none")],
        [("authorization", "Bearer k-shop, Bearer k-lab")],
        [("x-api-key", "k-shop")],
        [("cookie", "authorization=Bearer k-shop")],
    ],
)
def test_a_key_that_can_be_read_in_two_ways_is_none(given: list[tuple[str, str]]) -> None:
    asked = client(create_app(chat(), tenants=KEYS))
    assert asked.get("/v1/models", headers=given).status_code == 401
    assert asked.get("/v1/models?api_key=k-shop").status_code == 401


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "aUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_names_of_headers_and_schemes_are_of_any_case(name: str, scheme: str) -> None:
    asked = client(create_app(chat(), tenants=KEYS))
    assert asked.get("/v1/models", headers={name: f"{scheme} k-shop"}).status_code == 200


def test_a_session_of_another_tenant_is_not_met() -> None:
    rules = {"version": 1, "name": "mindful", "extends": "baseline", "session": {"memory": "max"}}
    beliefs = iter([0.99, 0.01, 0.01])
    engine = SafeCoDe(
        backend=backend(),
        policy=Policy.model_validate(rules),
        judge=lambda request: dict.fromkeys(request.questions, next(beliefs)),
        name="embedded",
    )
    asked = client(create_app(ChatSafeCoDe(engine=engine), tenants=KEYS))

    def remembered(key: str) -> Any:
        named = {**headers(key), "x-guardrail-session": "s"}
        found = asked.post(COMPLETIONS, json=body(max_tokens=2), headers=named)
        return found.json()["guardrail"]["session"]

    assert remembered("k-shop") is None
    assert remembered("k-lab") is None
    assert remembered("k-shop")["remembered"]  # its own is met


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (asking(messages="[" * 100_000 + "]" * 100_000), "invalid_body"),
        (asking(messages='[{"role": "user", "content": ' + "[" * 900 + "]" * 900 + "}]"), ""),
        (asking(', "metadata": ' + '{"a":' * 100_000 + "1" + "}" * 100_000), "invalid_body"),
        (asking(', "seed": ' + "9" * 5000), "invalid_body"),
        (asking(', "seed": NaN'), "invalid_body"),
        (asking(', "seed": 1e999'), "invalid_body"),
        (asking(f', "seed": {2**64}'), "invalid_settings"),
        (asking(', "temperature": NaN'), "invalid_body"),
        (asking(', "temperature": -Infinity'), "invalid_body"),
        (asking(', "top_p": Infinity'), "invalid_body"),
        (asking(', "max_completion_tokens": 1e400'), "invalid_body"),
        (asking(', "model": "\\ud800"'), "model_not_found"),
        (asking(', "max_\\ud800": 1'), "invalid_body"),
        (asking(', "stop": "\\ud800"'), "invalid_settings"),
        (asking(', "stop": "' + "a" * 100_000 + '"'), "invalid_body"),
        (asking(', "stop": [' + ", ".join(['"a"'] * 1000) + "]"), "invalid_body"),
        (asking(messages='[{"role": "user", "content": "\\ud800"}]'), "invalid_message"),
        (asking(messages='[{"role": "user", "content": [{"type": "\\ud800"}]}]'), ""),
        (b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', "invalid_message"),
        (b"\x1f\x8b\x08\x00", "invalid_body"),
    ],
)
def test_json_that_is_meant_to_break_its_reader_is_refused(content: Any, code: str) -> None:
    status, error = sent(content)
    assert status == (404 if code == "model_not_found" else 400)
    assert error["code"] == code or not code


@pytest.mark.parametrize("inner", ['{"a":' * 2000 + "1" + "}" * 2000, '{"a": ' + "9" * 5000 + "}"])
def test_arguments_that_are_meant_to_break_their_reader_are_refused(inner: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": inner}}
    asked = body()
    asked["messages"] += [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    status, error = sent(json.dumps(asked))
    assert (status, error["code"]) == (400, "invalid_body")


def test_a_zero_character_is_a_character() -> None:
    status, _ = sent(asking(messages='[{"role": "user", "content": "a\\u0000b"}]'))
    assert status == 200


@pytest.mark.parametrize(
    "content",
    [
        asking(messages="[" + ",".join(['{"role":"user","content":"a"}'] * 1_000_000) + "]"),
        asking(
            messages='[{"role": "user", "content": ['
            + ",".join(['{"type":"text","text":"a"}'] * 20_000)
            + "]}]"
        ),
        asking(
            messages='[{"role": "user", "content": [{"type": "text", "text": "a", "title": "'
            + "a" * 5_000_000
            + '"}]}]'
        ),
        asking(messages='[{"role": "user", "content": "' + "a " * 2_500_000 + '"}]'),
        asking(', "tools": [' + ",".join(['{"type":"function"}'] * 20_000) + "]"),
    ],
    ids=["messages", "parts", "title", "text", "tools"],
)
def test_a_request_that_is_much_work_is_refused_before_it_is_done(content: str) -> None:
    status, error = sent(content)
    assert (status, error["code"]) == (400, "invalid_body")
    assert "at most" in error["message"]


@pytest.fixture(scope="module")
def line() -> Iterator[str]:
    """The host and port of a server."""
    with listening(create_app(chat(), hosts=LOOPBACK)) as url:
        yield url.removeprefix("http://").removesuffix("/v1")


def answered(line: str, raw: bytes) -> list[str]:
    """The statuses that come for bytes, until the server closes the line."""
    host, _, port = line.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as wire:
        found = b""
        with suppress(ConnectionError):  # it does not read what is sent on
            wire.sendall(raw)
            while piece := wire.recv(65536):
                found += piece
    return [each[:3] for each in found.decode("latin-1").split("HTTP/1.1 ")[1:]]


HIDDEN = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: +5",
        b"content-length: 5, 6",
        b"content-length : 5",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        b"host: evil.test",
        b"x: a\x00b",
        b" folded: 1",
    ],
)
def test_a_request_within_a_request_is_not_answered(line: str, head: bytes) -> None:
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n" + head
    found = answered(line, request + b"\r\n\r\n0\r\n\r\n" + HIDDEN)
    assert len(found) == 1
    assert found[0] in ("400", "403", "501")


def test_a_body_in_chunks_has_an_end_too(line: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(doorway.LARGEST_BODY // 2**20 + 2):
            yield b" " * 2**20

    found = httpx.post(f"http://{line}{COMPLETIONS}", content=endless(), headers=JSON)
    assert (found.status_code, found.json()["error"]["code"]) == (413, "too_large")


def test_headers_have_an_end(line: str) -> None:
    endless = b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 200_000
    assert answered(line, endless + b"\r\n\r\n") in (["400"], [])


def test_whoever_reads_a_stream_slowly_keeps_nobody_waiting(line: str) -> None:
    host, _, port = line.partition(":")
    asked = json.dumps(body(stream=True, max_tokens=40)).encode()
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect((host, int(port)))
        slow.sendall(f"{head}content-length: {len(asked)}\r\n\r\n".encode() + asked)
        assert slow.recv(1)  # it has begun, and nothing more of it is read
        found = httpx.post(f"http://{line}{COMPLETIONS}", json=body(), timeout=60)
    assert found.status_code == 200
