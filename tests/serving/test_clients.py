"""Clients that people use, over a real port; and clients that go away."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.errors import ServerError
from guardrail.serving.app import create_app
from tests.backends.server.openai_server import OpenAIServer, served
from tests.serving.served import COMPLETIONS, backend, body, chat, client, listening, picture
from tests.serving.test_completions import TOOL


@pytest.fixture(scope="module")
def sdk() -> Iterator[OpenAI]:
    with (
        listening(create_app(chat())) as url,
        OpenAI(base_url=url, api_key="any", max_retries=0) as found,
    ):
        yield found


def messages(text: str = "How do I cut this?") -> Any:
    return [
        {
            "role": "user",
            "content": [picture("kitchen-knife-bread"), {"type": "text", "text": text}],
        }
    ]


def test_openais_client_gets_an_answer_with_its_decision(sdk: OpenAI) -> None:
    [served] = sdk.models.list().data
    found = sdk.chat.completions.create(
        model=served.id, messages=messages(), max_tokens=12, temperature=0
    )
    local = chat().invoke(messages(), max_tokens=12, temperature=0)
    assert found.choices[0].message.content == local.content
    decided: Any = found.model_extra
    assert decided["guardrail"]["action"] == "comply"


def test_openais_client_streams(sdk: OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="embedded",
        messages=messages(),
        max_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(e.choices[0].delta.content or "" for e in chunks if e.choices)
    assert text == chat().invoke(messages(), max_tokens=12, temperature=0).content
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_openais_client_calls_tools(sdk: OpenAI) -> None:
    tools: Any = [TOOL]
    found = sdk.chat.completions.create(
        model="embedded",
        messages=messages(),
        tools=tools,
        tool_choice="required",
        max_tokens=60,
        temperature=0,
    )
    [call] = found.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "weather"


def test_openais_client_understands_the_errors(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model="embedded", messages=messages(), n=2)
    assert (raised.value.code, raised.value.param) == ("invalid_body", "n")
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="other", messages=messages())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_its_answer_and_frees_its_place(stream: bool) -> None:
    guarded = chat()
    started, ended = threading.Event(), threading.Event()
    decode = guarded.engine.stream

    def slow(*args: Any, cancel: threading.Event, **how: Any) -> Any:
        started.set()
        try:
            assert cancel.wait(20)
            yield from decode(*args, cancel=cancel, **how)
        finally:
            ended.set()

    guarded.engine.stream = slow  # type: ignore[method-assign, assignment]
    app = create_app(guarded, max_inflight=1)
    with listening(app) as url:
        host, port = httpx.URL(url).host, httpx.URL(url).port or 0
        sent = httpx.Request("POST", f"{url}/chat/completions", json=body(stream=stream))
        with socket.create_connection((host, port)) as line:
            head = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: {host}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(sent.content)}\r\n\r\n"
            line.sendall(head.encode() + sent.content)
            assert started.wait(20)
            busy = httpx.post(f"{url}/chat/completions", json=body())
            assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
        assert ended.wait(20)
        guarded.engine.stream = decode  # type: ignore[method-assign]
        deadline = time.monotonic() + 20
        while httpx.get(url.replace("/v1", "/ready")).json()["under_way"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert httpx.post(f"{url}/chat/completions", json=body(), timeout=60).status_code == 200


def test_a_model_behind_a_server_is_served_as_one_in_this_process() -> None:
    model: Any = OpenAIServer(backend())
    with served(model) as behind:
        found = client(create_app(ChatSafeCoDe(base_url=behind))).post(COMPLETIONS, json=body())
        alone = ChatSafeCoDe(base_url=behind)
        lone = alone.invoke(body()["messages"], max_tokens=12, temperature=0)
    said = found.json()
    assert said["choices"][0]["message"]["content"] == lone.content
    assert said["guardrail"]["verdict"]["source"] == "self"


def test_a_server_that_went_down_lets_nothing_through() -> None:
    model: Any = OpenAIServer(backend())
    with served(model) as behind:
        app = create_app(ChatSafeCoDe(base_url=behind))
    found = client(app).post(COMPLETIONS, json=body())
    assert (found.status_code, found.json()["error"]["code"]) == (502, "model_failed")
    assert "choices" not in found.json()


class Busy(httpx.BaseTransport):
    """A model's server that turns answers away."""

    def __init__(self) -> None:
        self.model: Any = OpenAIServer(backend())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if b'"stream":true' in request.read().replace(b" ", b""):
            return httpx.Response(429, headers={"retry-after": "7"}, json={"error": "busy"})
        found: httpx.Response = self.model.handle_request(request)
        return found


def test_a_server_that_is_busy_is_one_to_come_again_to() -> None:
    model: Any = Busy()
    with served(model) as behind:
        engine = SafeCoDe.from_server(behind, judge=lambda request: 0.01)
        app = create_app(ChatSafeCoDe(engine=engine))
        found = client(app).post(COMPLETIONS, json=body())
    assert (found.status_code, found.json()["error"]["code"]) == (503, "busy_behind")
    assert found.headers["retry-after"] == "7"


def test_where_a_model_that_fails_stands_is_not_told() -> None:
    guarded = chat()

    def fails(*args: Any, **how: Any) -> Any:
        raise ServerError("the server at 'http://10.0.0.1/v1' cannot be reached")

    guarded.engine.stream = fails  # type: ignore[method-assign]
    found = client(create_app(guarded)).post(COMPLETIONS, json=body())
    assert (found.status_code, found.json()["error"]["code"]) == (502, "model_failed")
    assert "10.0.0.1" not in found.text


def test_many_at_once_are_each_answered_as_alone() -> None:
    texts = [f"How do I cut {thing}?" for thing in ("this", "that", "bread", "cheese")] * 3
    alone = [chat().invoke(messages(e), max_tokens=8, temperature=0).content for e in texts[:4]]
    found: dict[int, str] = {}
    with listening(create_app(chat())) as url:

        def ask(at: int) -> None:
            asked = {"messages": messages(texts[at]), "max_tokens": 8, "temperature": 0}
            answer = httpx.post(f"{url}/chat/completions", json=asked, timeout=120).json()
            found[at] = answer["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(texts))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert [found[at] for at in range(len(texts))] == alone * 3


def test_in_front_of_a_server_neither_torch_nor_transformers_is_loaded() -> None:
    code = (
        "import json, sys\n"
        "from fastapi.testclient import TestClient\n"
        "from guardrail import ChatSafeCoDe\n"
        "from guardrail.serving.app import create_app\n"
        "app = create_app(ChatSafeCoDe(base_url=sys.argv[1]))\n"
        "found = TestClient(app).post(sys.argv[2], content=sys.stdin.read(),\n"
        "    headers={'content-type': 'application/json'})\n"
        "print(found.status_code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    model: Any = OpenAIServer(backend())
    with served(model) as behind:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, behind, COMPLETIONS],
            input=json.dumps(body()),
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == "200 []"
