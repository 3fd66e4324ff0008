"""Unguarded answers beside guarded ones: for those who may, on record, and by no other way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.observer import LOG_VARIABLE
from guardrail.record.audit.queries import LogReader
from guardrail.serving.app import create_app
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.serving.served import (
    COMPARE,
    COMPLETIONS,
    NAME,
    backend,
    body,
    chat,
    client,
    hashed,
    headers,
)
from tests.serving.test_completions import events

KEYS = Tenants(
    [
        (hashed("app"), Tenant("shop", reviews=True)),
        (hashed("lab"), Tenant("shop", compares=True)),
    ]
)


def blocking() -> Any:
    return chat(0.99, on_unsafe="block")


def plain() -> str:
    return str(chat().invoke(body()["messages"], max_tokens=12, temperature=0, mode="off").content)


def test_both_answers_are_given_and_both_are_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = plain()
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "log.db"))
    asked = client(create_app(blocking(), hosts=LOOPBACK, max_inflight=1))
    found = asked.post(COMPARE, json=body())
    said = found.json()
    assert said["guarded"]["object"] == "chat.completion"
    assert said["guarded"]["choices"][0]["finish_reason"] == "content_filter"
    assert found.headers["x-guardrail-action"] == "block"
    assert found.headers["x-guardrail-request-id"] == said["guarded"]["guardrail"]["request_id"]
    assert said["unguarded"]["text"] == expected
    kept = asked.get(f"/v1/guardrail/decisions/{said['unguarded']['request_id']}").json()
    assert kept["mode"] == "off"
    with LogReader(tmp_path / "log.db") as reader:
        rows = reader.decisions(Filter(), limit=10)
    assert sorted(each.mode for each in rows) == ["enforce", "off"]


def test_a_streamed_comparison_ends_with_the_unguarded_answer() -> None:
    asked = client(create_app(blocking(), hosts=LOOPBACK))
    *pieces, last, compared = events(asked.post(COMPARE, json=body(stream=True)).text)
    assert "".join(each["choices"][0]["delta"]["content"] for each in pieces)
    assert last["guardrail"]["action"] == "block"
    assert (compared["object"], compared["id"]) == ("guardrail.comparison", last["id"])
    assert compared["unguarded"]["text"] == plain()


@pytest.mark.parametrize(("key", "status"), [("app", 403), ("lab", 200)])
def test_a_key_has_to_say_so(key: str, status: int) -> None:
    asked = client(create_app(blocking(), tenants=KEYS, hosts=LOOPBACK))
    found = asked.post(COMPARE, json=body(max_tokens=2), headers=headers(key))
    assert found.status_code == status
    if status == 403:
        assert found.json()["error"]["code"] == "no_comparison"


@pytest.mark.parametrize(
    ("options", "peer"),
    [
        ({}, "127.0.0.1"),
        ({"hosts": {"127.0.0.1", "guard.example"}}, "127.0.0.1"),
        ({"hosts": LOOPBACK}, "192.0.2.1"),
        ({"hosts": LOOPBACK, "compares": False}, "127.0.0.1"),
    ],
)
def test_without_keys_it_is_for_this_machine_alone(options: Any, peer: str) -> None:
    app = create_app(blocking(), **options)
    asked = TestClient(app, base_url="http://127.0.0.1", client=(peer, 1))
    found = asked.post(COMPARE, json=body())
    assert (found.status_code, found.json()["error"]["code"]) == (403, "no_comparison")
    assert asked.post(COMPLETIONS, json=body()).json()["guardrail"]["action"] == "block"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"origin": "http://evil.test"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, "origin"),
        ({"host": "evil.test", "origin": "http://evil.test"}, "host"),
    ],
)
def test_pages_of_others_may_not_compare(sent: dict[str, str], code: str) -> None:
    app = create_app(blocking(), hosts=LOOPBACK)
    found = client(app).post(COMPARE, json=body(), headers=sent)
    assert (found.status_code, found.json()["error"]["code"]) == (403, code)
    assert not app.state.desk.decided


@pytest.mark.parametrize("path", [COMPLETIONS, COMPARE])
@pytest.mark.parametrize("name", ["mode", "policy", "guardrail", "config", "extra_body", "review"])
def test_a_body_has_no_place_for_a_mode(path: str, name: str) -> None:
    app = create_app(blocking(), hosts=LOOPBACK)
    found = client(app).post(path, json=body(**{name: "off"}))
    assert (found.status_code, found.json()["error"]["code"]) == (400, "invalid_body")
    assert not app.state.desk.decided


@pytest.mark.parametrize(
    ("more", "sent", "query"),
    [
        ({"metadata": {"mode": "off", "policy": "off"}}, {}, ""),
        ({"user": "mode=off"}, {}, ""),
        ({}, {"x-guardrail-mode": "off", "x-guardrail-compare": "1"}, ""),
        ({}, {"x-guardrail-session": "mode=off"}, ""),
        ({}, {}, "?mode=off&policy=off&compare=true"),
    ],
)
def test_nothing_else_in_a_request_makes_an_answer_unguarded(
    more: Any, sent: dict[str, str], query: str
) -> None:
    app = create_app(blocking(), hosts=LOOPBACK)
    found = client(app).post(COMPLETIONS + query, json=body(**more), headers=sent).json()
    assert (found["guardrail"]["mode"], found["guardrail"]["action"]) == ("enforce", "block")
    assert "unguarded" not in found


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_human_has_to_decide_is_not_asked_unguarded(stream: bool) -> None:
    app = create_app(chat(0.99, on_unsafe="escalate"), hosts=LOOPBACK)
    found = client(app).post(COMPARE, json=body(stream=stream))
    assert (found.status_code, found.json()["error"]["code"]) == (422, "escalated")
    assert len(app.state.desk.decided) == 1  # the guarded one


def test_calls_of_tools_are_not_compared() -> None:
    tool = {"type": "function", "function": {"name": "cut", "parameters": {"type": "object"}}}
    found = client().post(COMPARE, json=body(tools=[tool]))
    assert (found.status_code, found.json()["error"]["param"]) == (400, "tools")


def test_a_file_of_keys_says_who_compares(tmp_path: Path) -> None:
    keys = [
        {"sha256": hashed("a"), "tenant": "shop"},
        {"sha256": hashed("b"), "tenant": "shop", "compares": True},
    ]
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump({"keys": keys}))
    read = Tenants.from_file(tmp_path / "keys.yaml")
    assert [read.of(each) for each in "ab"] == [Tenant("shop"), Tenant("shop", compares=True)]


def test_the_thresholds_of_the_policy_that_holds_are_told() -> None:
    asked = client(create_app(blocking(), hosts=LOOPBACK))
    told = asked.get("/v1/guardrail/policy").json()
    policy = blocking().engine.policy_for()
    assert (told["name"], told["digest"], told["mode"]) == (policy.name, policy.digest, "enforce")
    assert [(each["id"], each["safe_below"], each["unsafe_at"]) for each in told["categories"]] == [
        (rule.id, rule.safe_below, rule.unsafe_at) for rule in policy.rules
    ]
    assert {each["actions"]["unsafe"] for each in told["categories"]} == {"block"}
    assert told["watch"] is None


def test_how_answers_are_watched_is_told() -> None:
    engine = blocking().engine
    policy = engine.policy_for().model_copy(update={"watch": {"unsafe_at": 0.7}})
    watching = ChatSafeCoDe(engine=SafeCoDe(backend=backend(), policy=policy, name=NAME))
    told = client(create_app(watching, hosts=LOOPBACK)).get("/v1/guardrail/policy").json()
    assert told["watch"] == {
        "every": 32, "unsafe_at": 0.7, "safe_below": 0.4, "on_unsafe": "replace",
        "release": "judged", "thinking": "shown",
    }  # fmt: skip
