"""Who is let in: by key, by host, by origin, by size; and nobody under a milder policy."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.responses import PlainTextResponse

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.errors import SettingsError
from guardrail.serving.admission import Admission
from guardrail.serving.app import create_app
from guardrail.serving.doorway import Doorway, LocalPeers
from guardrail.serving.failures import Failure
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.serving.served import (
    COMPARE,
    COMPLETIONS,
    DECIDE,
    backend,
    body,
    chat,
    client,
    hashed,
    headers,
)

KEYS = Tenants([(hashed("k-shop"), Tenant("shop")), (hashed("k-lab"), Tenant("lab"))])


@pytest.mark.parametrize(
    "sent",
    [
        {},
        headers("wrong"),
        headers(""),
        headers(hashed("k-shop")),
        {"authorization": "k-shop"},
        {"authorization": "Basic k-shop"},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        *(COMPLETIONS, DECIDE, COMPARE),
        *("/v1/models", "/v1/guardrail/policy", "/v1/guardrail/decisions/x"),
    ],
)
def test_without_a_key_nothing_is_told(path: str, sent: Any) -> None:
    asked = client(create_app(chat(), tenants=KEYS))
    given = {"json": body()} if path in (COMPLETIONS, DECIDE, COMPARE) else {}
    found = asked.request("POST" if given else "GET", path, headers=sent, **given)
    assert (found.status_code, found.json()["error"]["code"]) == (401, "no_key")
    assert found.headers["www-authenticate"] == "Bearer"


def test_a_session_has_a_name_of_some_length() -> None:
    sent = {"x-guardrail-session": "s" * 201}
    found = client().post(COMPLETIONS, json=body(), headers=sent)
    assert (found.status_code, found.json()["error"]["code"]) == (400, "invalid_session")


def test_health_needs_no_key() -> None:
    asked = client(create_app(chat(), tenants=KEYS))
    assert asked.get("/health").json()["status"] == "ok"
    assert asked.get("/ready").json()["model"] == "embedded"


def test_a_decision_is_its_tenants_alone() -> None:
    asked = client(create_app(chat(), tenants=KEYS))
    decided = asked.post(COMPLETIONS, json=body(), headers=headers("k-shop")).json()["guardrail"]
    path = f"/v1/guardrail/decisions/{decided['request_id']}"
    assert asked.get(path, headers=headers("k-shop")).json() == decided
    assert asked.get(path, headers=headers("k-lab")).status_code == 404


def test_the_key_chooses_the_policy_and_nothing_in_the_request_does(tmp_path: Path) -> None:
    rules = {"on_safe": "block", "on_uncertain": "block", "on_unsafe": "block"}
    strict = {"version": 1, "name": "strict", "extends": "baseline", "verdict": rules}
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(strict))
    chosen = {
        "version": 1,
        "name": "all",
        "select": [
            {"when": {"tenant": "lab"}, "policy": "strict.yaml"},
            {"policy": "baseline"},
        ],
    }
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(chosen))
    engine = SafeCoDe(backend=backend(), policy=tmp_path / "all.yaml", name="embedded")
    tenants = Tenants([(hashed(each), Tenant(each, {"tenant": each})) for each in ("lab", "shop")])
    asked = client(create_app(ChatSafeCoDe(engine=engine), tenants=tenants))
    named = body(metadata={"tenant": "shop"}, user="shop")
    found = [
        asked.post(COMPLETIONS, json=named, headers=headers(each)).json()["guardrail"]
        for each in ("lab", "shop")
    ]
    assert [each["policy"]["name"] for each in found] == ["strict", "baseline"]
    assert found[0]["action"] == "block"
    told = [
        asked.get("/v1/guardrail/policy", headers=headers(each)).json() for each in ("lab", "shop")
    ]
    assert [each["name"] for each in told] == ["strict", "baseline"]
    assert told[0]["digest"] == found[0]["policy"]["digest"]
    assert told[0]["categories"][0]["actions"]["unsafe"] == "block"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"host": "evil.test"}, "host"),
        ({"host": "127.0.0.1.evil.test"}, "host"),
        ({"host": ""}, "host"),
        ({"host": "[::1"}, "host"),
        ({"origin": "http://evil.test"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"origin": "http://[::1"}, "origin"),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, "origin"),
    ],
)
def test_pages_of_others_may_not_ask(sent: dict[str, str], code: str) -> None:
    found = client().post(COMPLETIONS, json=body(), headers=sent)
    assert (found.status_code, found.json()["error"]["code"]) == (403, code)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_this_machine_may_ask_by_any_of_its_names(host: str) -> None:
    sent = {"host": host, "origin": f"http://{host}"}
    assert client().get("/v1/models", headers=sent).status_code == 200


async def door(messages: list[dict[str, Any]], sent: Any = (), **limits: Any) -> list[Any]:
    """Returns what a doorway says to a request that comes in these pieces, and then no more."""
    said: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        said.append((await receive())["body"])

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "headers": [(b"host", b"localhost"), *sent]}
    await Doorway(app, hosts=LOOPBACK, **limits)(scope, receive, send)
    return said


def piece(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        (("127.0.0.1", 5), 200),
        (("::1", 5), 200),
        (("192.0.2.1", 5), 403),
        (("localhost.evil.test", 5), 403),
        (None, 403),
    ],
)
async def test_without_keys_other_machines_are_not_answered_wherever_it_listens(
    peer: Any, status: int
) -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return piece(b"", False)

    scope = {"type": "http", "client": peer, "headers": [(b"host", b"localhost")]}
    await LocalPeers(PlainTextResponse("answered"))(scope, receive, send)
    assert said[0]["status"] == status


async def test_a_body_comes_whole() -> None:
    assert await door([piece(b"a", True), piece(b"b", False)], largest=2) == [b"ab"]


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_that_is_too_large_is_not_read_on(told: bool) -> None:
    endless = [piece(b"a" * 10, True) for _ in range(100)]
    sent = [(b"content-length", b"1000")] if told else []
    start, _ = await door(endless, sent, largest=25)
    assert start["status"] == 413
    assert len(endless) == (100 if told else 97)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    start, said = await door([piece(b"a", True)], slowest_s=0.05)
    assert start["status"] == 408
    assert json.loads(said["body"])["error"]["code"] == "slow_body"


async def test_a_length_that_is_none_is_an_error() -> None:
    start, _ = await door([], [(b"content-length", b"many")])
    assert start["status"] == 400


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_left_alone() -> None:
    assert await door([piece(b"a", True), {"type": "http.disconnect"}]) == []


def test_too_many_at_once_are_told_to_come_again() -> None:
    admission = Admission(1)
    with admission.admitted():
        with pytest.raises(Failure) as raised, admission.admitted():
            pass
        assert (raised.value.status, raised.value.headers["retry-after"]) == (429, "1")
    with admission.admitted():
        assert admission.under_way == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys: []",
        "keys: [{sha256: abc, tenant: shop}]",
        f"keys: [{{sha256: {hashed('k')}}}]",
        f"keys: [{{sha256: {hashed('k')}, tenant: shop, policy: mild}}]",
        f"keys: [{{sha256: {hashed('k')}, tenant: a}}, {{sha256: {hashed('k')}, tenant: b}}]",
        "keys: [",
        "!!python/object/apply:os.system [true]",
    ],
)
def test_a_file_of_keys_that_is_none_is_one_clear_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"the file of keys '.*keys\.yaml'"):
        Tenants.from_file(tmp_path / "keys.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        Tenants.from_file(tmp_path / "none.yaml")


def test_a_file_of_keys_holds_no_key(tmp_path: Path) -> None:
    keys = [{"sha256": hashed("k"), "tenant": "shop", "metadata": {"route": "chat"}}]
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump({"keys": keys}))
    found = Tenants.from_file(tmp_path / "keys.yaml")
    assert found.of("k") == Tenant("shop", {"route": "chat"})
    assert not found.of("k").reviews  # type: ignore[union-attr]
    assert found.of(hashed("k")) is None
    one, other = Tenant("shop"), Tenant("lab")
    assert one.session("a") != other.session("a")
