"""What a server has not shown that it can do is not asked of it: the strictest that is left."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.errors import ServerError
from tests.backends.server.test_backend import GREEDY, ask, policy, server


class Lacking(httpx.BaseTransport):
    """The same server without something.

    Args:
        lacks: `log-probabilities`, `continuation` (a beginning is closed and answered anew), or
            `usage`.
        owner: Whose models it says they are.
    """

    def __init__(self, lacks: str = "", owner: str = "vllm", models: int = 1) -> None:
        self.lacks, self.owner, self.models = lacks, owner, models
        self.paths: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if request.method == "GET":
            if not request.url.path.endswith("/models"):
                return httpx.Response(404)
            names = [{"id": f"m{at}", "owned_by": self.owner} for at in range(self.models)]
            return httpx.Response(200, json={"data": names})
        if not request.url.path.endswith("/chat/completions"):
            return server().handle_request(request)
        body = json.loads(request.read())
        if self.lacks == "log-probabilities" and body.get("logprobs") and not body.get("stream"):
            return httpx.Response(400, json={"error": {"message": "logprobs are not supported"}})
        return self._answer(body)

    def _answer(self, body: dict[str, Any]) -> httpx.Response:
        if self.lacks == "continuation":
            body.pop("continue_final_message", None)
        answer = server().handle_request(
            httpx.Request("POST", "http://m/v1/chat/completions", json=body)
        )
        if body.get("stream") or answer.status_code != 200:
            return answer
        said = answer.json()
        if self.lacks == "usage":
            said.pop("usage")
        if self.lacks == "log-probabilities":
            said["choices"][0]["logprobs"] = None
        return httpx.Response(200, json=said)


def backend(transport: httpx.BaseTransport, model: str | None = None) -> ServerBackend:
    return ServerBackend(ServerClient("http://m.test/v1", transport=transport), model)


def test_a_server_that_can_do_all_is_not_degraded() -> None:
    found = backend(Lacking()).capabilities
    assert (found.model, found.dialect.name, found.shows) == ("m0", "vllm", 20)
    assert found.guides
    assert found.degraded == ()


@pytest.mark.parametrize("lacks", ["continuation", "usage"])
def test_without_continuation_nothing_is_steered_and_refusals_are_the_policys(lacks: str) -> None:
    served = SafeCoDe(backend=backend(Lacking(lacks)), policy=policy())
    unsafe = served.answer(ask(0), GREEDY)
    assert unsafe.decision.action == "refuse"
    assert unsafe.decision.outcome.replaced
    assert unsafe.decision.steps == []
    assert any("cannot go on with an answer" in each for each in unsafe.decision.errors)
    assert unsafe.decision.contrast.skipped == "the model's steps cannot be guided"


def test_without_log_probabilities_the_verdict_is_yes_or_no() -> None:
    served = SafeCoDe(backend=backend(Lacking("log-probabilities")), policy=policy())
    unsafe, safe = (served.answer(ask(at), GREEDY).decision for at in (0, 1))
    assert set(unsafe.verdict.categories.values()) <= {0.0, 1.0}
    assert (unsafe.action, safe.action) == ("refuse", "comply")
    assert unsafe.outcome.replaced
    assert any("no log-probabilities" in each for each in unsafe.errors)


@pytest.mark.parametrize(
    ("owner", "name"),
    [("vllm", "vllm"), ("sglang", "sglang"), ("llamacpp", "llama.cpp"), ("acme", "openai")],
)
def test_the_dialect_is_what_the_server_says_of_its_models(owner: str, name: str) -> None:
    assert backend(Lacking(owner=owner)).capabilities.dialect.name == name


def test_the_model_is_named_where_there_are_several() -> None:
    with pytest.raises(ServerError, match="has 2 models"):
        _ = backend(Lacking(models=2)).capabilities
    assert backend(Lacking(models=2), "m1").capabilities.model == "m1"
    with pytest.raises(ServerError, match="no model 'other': it has m0, m1"):
        _ = backend(Lacking(models=2), "other").capabilities


@pytest.mark.parametrize("model", [None, "m0"])
def test_an_address_without_v1_is_told_where_the_api_lies(model: str | None) -> None:
    class Below(Lacking):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            below = request.url.path.startswith("/v1/")
            return super().handle_request(request) if below else httpx.Response(404)

    client = ServerClient("http://a:b@m.test/", transport=Below())
    with pytest.raises(ServerError, match=r"'http://m\.test', .* give 'http://m\.test/v1'$"):
        _ = ServerBackend(client, model).capabilities


def test_an_api_that_lies_elsewhere_is_taken_where_it_is() -> None:
    client = ServerClient("http://m.test/openai", transport=Lacking())
    assert ServerBackend(client).capabilities.model == "m0"


def test_capabilities_are_asked_once() -> None:
    transport = Lacking()
    found = backend(transport)
    assert found.capabilities is found.capabilities
    count = len(transport.paths)
    _ = found.capabilities
    assert len(transport.paths) == count
