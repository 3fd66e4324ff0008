"""What is decided about requests that somebody else answers: as for an answer, and no milder."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from guardrail import ChatSafeCoDe, Policy, SafeCoDe, load_policy
from guardrail.request.conversation import question
from guardrail.serving.app import create_app
from guardrail.serving.tenants import Tenant, Tenants
from tests.backends.server.openai_server import OpenAIServer, served
from tests.serving.served import (
    COMPLETIONS,
    DECIDE,
    NAME,
    backend,
    body,
    chat,
    client,
    hashed,
    headers,
    listening,
    picture,
)
from tests.serving.test_completions import TOOL, shown

APPROVED = {"approved": True, "by": "Ada"}


def decided(p: Any = 0.01, sent: Any = None, **verdict: Any) -> Any:
    return client(create_app(chat(p, **verdict))).post(DECIDE, json=sent or body())


def silent(guarded: ChatSafeCoDe) -> ChatSafeCoDe:
    """Returns a chat model that fails if anything is to be generated."""

    def speaks(*args: Any, **how: Any) -> Any:
        raise AssertionError("an answer was begun")

    guarded.engine.stream = speaks  # type: ignore[method-assign]
    return guarded


def test_the_model_itself_decides_as_for_an_answer_and_generates_nothing() -> None:
    answered = client(create_app(chat(None))).post(COMPLETIONS, json=body()).json()["guardrail"]
    asked = client(create_app(silent(chat(None))))
    found = asked.post(DECIDE, json=body())
    said = found.json()
    decision = said["decision"]
    assert decision["verdict"]["categories"] == pytest.approx(answered["verdict"]["categories"])
    assert decision["verdict"]["source"] == "self"
    assert decision["policy"] == answered["policy"]
    assert decision["outcome"] == {
        "refused": None,
        "replaced": False,
        "finish_reason": "judged",
        "output_tokens": 0,
    }
    assert (said["action"], said["withheld"], said["words"]) == (decision["action"], False, "")
    assert found.headers["x-guardrail-action"] == said["action"]
    request_id = found.headers["x-guardrail-request-id"]
    assert asked.get(f"/v1/guardrail/decisions/{request_id}").json() == decision


@pytest.mark.parametrize("action", ["block", "refuse"])
def test_what_is_not_to_be_answered_comes_with_the_policys_words(action: str) -> None:
    said = decided(0.99, on_unsafe=action).json()
    assert (said["action"], said["withheld"]) == (action, True)
    assert said["words"]
    assert said["decision"]["outcome"]["finish_reason"] == "blocked"


def test_a_judge_that_fails_withholds() -> None:
    said = decided(lambda request: 1 / 0).json()
    assert (said["action"], said["withheld"]) == ("block", True)
    assert said["decision"]["verdict"]["label"] == "unavailable"


def test_a_policy_in_shadow_withholds_nothing_and_says_what_it_would_have() -> None:
    guarded = chat(0.99, on_unsafe="escalate")
    guarded.mode = "shadow"
    found = client(create_app(guarded)).post(DECIDE, json=body())
    assert found.status_code == 200
    said = found.json()
    assert (said["action"], said["withheld"], said["words"]) == ("escalate", False, "")


def test_an_escalation_is_reviewed_and_decided_again_once() -> None:
    asked = client(create_app(silent(chat(0.99, on_unsafe="escalate"))))
    found = asked.post(DECIDE, json=body())
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (422, "escalated")
    assert found.headers["x-guardrail-action"] == "escalate"
    again = {"x-guardrail-review": error["request_id"]}
    assert asked.post(DECIDE, json=body(), headers=again).status_code == 422
    path = f"/v1/guardrail/reviews/{error['request_id']}"
    assert asked.post(path, json=APPROVED).status_code == 200
    assert asked.post(DECIDE, json=body("How do I cut him?"), headers=again).status_code == 422
    said = asked.post(DECIDE, json=body(), headers=again).json()
    assert (said["withheld"], said["decision"]["review"]["by"]) == (False, "Ada")
    assert "token" not in said["decision"]["review"]
    assert asked.post(DECIDE, json=body(), headers=again).status_code == 422


def test_an_approval_of_what_was_decided_counts_for_its_answer() -> None:
    asked = client(create_app(chat(0.99, on_unsafe="escalate")))
    request_id = asked.post(DECIDE, json=body()).json()["error"]["request_id"]
    asked.post(f"/v1/guardrail/reviews/{request_id}", json=APPROVED)
    again = {"x-guardrail-review": request_id}
    sent = body(max_tokens=2)
    assert asked.post(COMPLETIONS, json=sent, headers=again).status_code == 200
    assert asked.post(COMPLETIONS, json=sent, headers=again).status_code == 422


def test_the_body_of_an_answer_will_do() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    sent = body(tools=[TOOL], tool_choice="required", seed=3, stop=["."], top_p=0.9, user="u")
    sent["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "user", "content": [picture("garden-balloon"), {"type": "text", "text": "So?"}]},
    ]
    seen: list[Any] = []

    def judge(request: Any) -> float:
        seen.append(request.conversation)
        return 0.01

    assert decided(judge, sent).status_code == 200
    conversation = seen[0]  # what comes after are looks at parts of it
    assert len(conversation.pictures) == 2
    assert "sunny" in "".join(turn.text for turn in conversation.turns)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"stream": True}, "stream"),
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"policy": "permissive"}, "policy"),
        ({"mode": "off"}, "mode"),
        ({"session": "s"}, "session"),
        ({"review": {"approved": True}}, "review"),
        ({"verdict": 0.0}, "verdict"),
    ],
)
def test_nothing_in_a_body_makes_it_milder(change: dict[str, Any], param: str) -> None:
    found = decided(sent=body(**change))
    assert (found.status_code, found.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([shown("data:image/png;base64,AAAA")], "invalid_picture"),
        ([shown("file:///etc/passwd")], "invalid_picture"),
        ([{"type": "input_audio", "input_audio": {}}], "invalid_message"),
    ],
)
def test_what_cannot_be_judged_is_an_error(content: Any, code: str) -> None:
    found = decided(sent={"messages": [{"role": "user", "content": content}]})
    assert (found.status_code, found.json()["error"]["code"]) == (400, code)


def test_the_key_chooses_the_policy(tmp_path: Path) -> None:
    rules = {"on_safe": "block", "on_uncertain": "block", "on_unsafe": "block"}
    strict = {"version": 1, "name": "strict", "extends": "baseline", "verdict": rules}
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(strict))
    select = [{"when": {"tenant": "lab"}, "policy": "strict.yaml"}, {"policy": "baseline"}]
    chosen = {"version": 1, "name": "all", "select": select}
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(chosen))
    engine = SafeCoDe(
        backend=backend(), policy=tmp_path / "all.yaml", judge=lambda request: 0.01, name=NAME
    )
    tenants = Tenants([(hashed(each), Tenant(each, {"tenant": each})) for each in ("lab", "shop")])
    asked = client(create_app(ChatSafeCoDe(engine=engine), tenants=tenants))
    sent = body(metadata={"tenant": "shop"}, user="shop")
    actions = [
        asked.post(DECIDE, json=sent, headers=headers(each)).json()["action"]
        for each in ("lab", "shop")
    ]
    assert actions == ["block", "comply"]


def test_a_session_is_remembered_and_is_its_tenants_alone() -> None:
    base = load_policy("baseline")
    policy: Policy = base.model_copy(
        update={"session": base.session.model_copy(update={"memory": "max"})}
    )

    def judge(request: Any) -> float:
        return 0.99 if "knife" in request.conversation.turns[-1].text else 0.01

    engine = SafeCoDe(backend=backend(), policy=policy, judge=judge, name=NAME)
    tenants = Tenants([(hashed(each), Tenant(each)) for each in ("lab", "shop")])
    asked = client(create_app(ChatSafeCoDe(engine=engine), tenants=tenants))

    def action(text: str, key: str, session: str) -> str:
        sent = {**headers(key), "x-guardrail-session": session}
        return str(asked.post(DECIDE, json=body(text), headers=sent).json()["action"])

    assert action("How do I use a knife?", "shop", "s") == "refuse"
    assert action("And now?", "shop", "s") == "refuse"
    assert action("And now?", "lab", "s") == "comply"
    assert action("And now?", "shop", "t") == "comply"
    taken = headers("shop"), {"x-guardrail-session": "s" * 201}
    long = asked.post(DECIDE, json=body(), headers={**taken[0], **taken[1]})
    assert (long.status_code, long.json()["error"]["code"]) == (400, "invalid_session")


def test_a_client_that_goes_away_stops_the_judge_and_frees_its_place() -> None:
    guarded = chat()
    started, ended = threading.Event(), threading.Event()
    decide = guarded.engine.decide

    def slow(*args: Any, cancel: threading.Event, **how: Any) -> Any:
        started.set()
        try:
            assert cancel.wait(20)
            return decide(*args, cancel=cancel, **how)
        finally:
            ended.set()

    guarded.engine.decide = slow  # type: ignore[method-assign]
    with listening(create_app(guarded, max_inflight=1)) as url:
        path = f"{url}/guardrail/decide"
        host, port = httpx.URL(url).host, httpx.URL(url).port or 0
        sent = httpx.Request("POST", path, json=body()).content
        with socket.create_connection((host, port)) as line:
            head = f"POST {DECIDE} HTTP/1.1\r\nhost: {host}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
            line.sendall(head.encode() + sent)
            assert started.wait(20)
            busy = httpx.post(path, json=body())
            assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
        assert ended.wait(20)
        guarded.engine.decide = decide  # type: ignore[method-assign]
        deadline = time.monotonic() + 20
        while httpx.get(url.replace("/v1", "/ready")).json()["under_way"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert httpx.post(path, json=body(), timeout=60).status_code == 200


def test_what_is_stopped_is_not_decided_and_withheld() -> None:
    stopped = threading.Event()
    stopped.set()
    found = SafeCoDe(backend=backend(), name=NAME).decide(question("How?"), cancel=stopped)
    assert found.withheld
    assert found.decision.outcome.finish_reason == "cancelled"


def test_a_model_behind_a_server_decides_too() -> None:
    model: Any = OpenAIServer(backend())
    with served(model) as behind:
        guarded = silent(ChatSafeCoDe(base_url=behind))
        said = client(create_app(guarded)).post(DECIDE, json=body()).json()
    assert said["decision"]["verdict"]["source"] == "self"
    assert said["decision"]["verdict"]["error"] is None
    assert said["decision"]["outcome"]["finish_reason"] == "judged"
