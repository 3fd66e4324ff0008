"""Watched answers over the chat API: what a client is told where a reading ended one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guardrail.serving.app import create_app
from guardrail.serving.tenants import Tenant, Tenants
from tests.chat.watched import turning
from tests.serving.served import COMPLETIONS, body, chat, client, hashed, headers

KEYS = Tenants([(hashed("boss"), Tenant("shop", reviews=True))])


def asked(on_unsafe: str, **options: Any) -> Any:
    guarded = chat(turning(lambda text: len(text) > 30), watch={"on_unsafe": on_unsafe})
    return client(create_app(guarded, **options))


def sent(**more: Any) -> dict[str, Any]:
    return body(max_tokens=32, **more)


def events(text: str) -> list[Any]:
    return [json.loads(each.removeprefix("data: ")) for each in text.split("\n\n") if "{" in each]


def told(found: list[Any]) -> str:
    deltas = [each["choices"][0]["delta"] for each in found if each.get("choices")]
    return "".join(each.get("content", "") for each in deltas)


@pytest.mark.parametrize("on_unsafe", ["replace", "end"])
def test_an_answer_that_a_reading_ended_is_filtered_content(on_unsafe: str) -> None:
    guarded = asked(on_unsafe)
    found = guarded.post(COMPLETIONS, json=sent())
    [choice] = found.json()["choices"]
    decision = found.json()["guardrail"]
    assert choice["finish_reason"] == "content_filter"
    assert found.headers["x-guardrail-action"] == decision["action"] == "comply"
    assert decision["outcome"]["finish_reason"] == "blocked"
    assert decision["outcome"]["replaced"] is (on_unsafe == "replace")
    streamed = guarded.post(COMPLETIONS, json=sent(stream=True)).text
    pieces = events(streamed)
    assert told(pieces) == choice["message"]["content"]
    assert pieces[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert pieces[-1]["guardrail"]["watch"][-1]["act"] == on_unsafe
    assert streamed.endswith("data: [DONE]\n\n")


def test_what_is_blocked_in_shadow_is_no_filtered_content() -> None:
    guarded = chat(0.99, on_unsafe="block").model_copy(update={"mode": "shadow"})
    [choice] = client(create_app(guarded)).post(COMPLETIONS, json=sent()).json()["choices"]
    assert choice["finish_reason"] in ("stop", "length")


def test_an_escalation_in_the_middle_of_a_stream_is_reviewed_and_asked_again() -> None:
    guarded, who = asked("escalate", tenants=KEYS), headers("boss")
    found = guarded.post(COMPLETIONS, json=sent(stream=True), headers=who)
    *pieces, last = events(found.text)
    error = last["error"]
    assert found.status_code == 200
    assert "[DONE]" not in found.text
    assert (error["code"], error["type"]) == ("escalated", "guardrail_escalation")
    assert error["guardrail"]["watch"][-1]["act"] == "escalate"
    assert 0 < len(told(pieces)) <= 30
    known = error["request_id"]
    kept = guarded.get(f"/v1/guardrail/decisions/{known}", headers=who).json()
    assert kept["outcome"]["finish_reason"] == "escalated"
    said = {"approved": True, "by": "Ada"}
    assert guarded.post(f"/v1/guardrail/reviews/{known}", json=said, headers=who).is_success
    again = {**who, "x-guardrail-review": known}
    answer = guarded.post(COMPLETIONS, json=sent(), headers=again).json()
    text = answer["choices"][0]["message"]["content"]
    assert text.startswith(told(pieces))
    assert len(text) > 30
    assert answer["guardrail"]["review"]["by"] == "Ada"


def test_an_escalation_of_an_answer_that_is_not_streamed_says_which_request() -> None:
    found = asked("escalate").post(COMPLETIONS, json=sent())
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (422, "escalated")
    assert found.headers["x-guardrail-request-id"] == error["request_id"]
    assert found.headers["x-guardrail-action"] == error["guardrail"]["action"] == "comply"
    assert "choices" not in found.json()
