"""What one replica decided, every other knows: decisions, escalations, approvals and sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrail.judging.judge import JudgeRequest
from guardrail.serving.app import create_app
from guardrail.serving.tenants import Tenant, Tenants
from guardrail.shared.connection import SharedRedis
from tests.serving.served import COMPLETIONS, body, chat, client, hashed, headers
from tests.serving.test_reviews import APPROVED, again, escalated

KEY = "k" * 16
KEYS = Tenants(
    [
        (hashed("app"), Tenant("shop")),
        (hashed("boss"), Tenant("shop", reviews=True)),
        (hashed("lab"), Tenant("lab", reviews=True)),
    ]
)


def judge(request: JudgeRequest) -> float:
    """Goes by the words alone, so that only the memory knows of earlier ones."""
    return 0.99 if "danger" in request.conversation.turns[-1].text else 0.01


Replicas = Callable[..., list[TestClient]]


@pytest.fixture
def replicas(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicas]:
    """Makes two applications that share a Redis, as two replicas do."""
    monkeypatch.setenv("GUARDRAIL_APPROVAL_KEY", KEY)
    with ExitStack() as open_ones:

        def made(**verdict: Any) -> list[TestClient]:
            both = [SharedRedis(redis_url) for _ in range(2)]
            for each in both:
                open_ones.callback(each.close)
            return [
                client(create_app(chat(judge, each, **verdict), tenants=KEYS, shared=each))
                for each in both
            ]

        yield made


def test_a_review_is_good_at_whichever_replica_and_once(replicas: Replicas) -> None:
    one, other = replicas(on_unsafe="escalate")
    asked = body("danger")
    found = one.post(COMPLETIONS, json=asked, headers=headers("app"))
    request_id = found.json()["error"]["request_id"]
    path = f"/v1/guardrail/reviews/{request_id}"
    assert other.post(path, json=APPROVED, headers=headers("lab")).status_code == 404
    assert other.post(path, json=APPROVED, headers=headers("boss")).json()["approved"]
    assert one.post(path, json=APPROVED, headers=headers("boss")).status_code == 409
    assert again(other, request_id, text="danger!").status_code == 422
    counted = [again(each, request_id, text="danger").status_code for each in (other, one, other)]
    assert counted == [200, 422, 422]


def test_a_decision_is_found_at_whichever_replica(replicas: Replicas) -> None:
    one, other = replicas(on_unsafe="block")
    decided = one.post(COMPLETIONS, json=body("danger"), headers=headers("app")).json()["guardrail"]
    path = f"/v1/guardrail/decisions/{decided['request_id']}"
    assert other.get(path, headers=headers("boss")).json() == decided
    assert other.get(path, headers=headers("lab")).status_code == 404


def test_a_session_goes_on_at_whichever_replica(replicas: Replicas) -> None:
    one, other = replicas(on_unsafe="block")

    def action(asked: TestClient, text: str, session: str, key: str = "app") -> str:
        sent = {**headers(key), "x-guardrail-session": session}
        return asked.post(COMPLETIONS, json=body(text), headers=sent).headers["x-guardrail-action"]

    assert action(one, "danger", "s") == "block"
    assert action(other, "hello", "s") == "block"
    assert action(other, "hello", "another") == "comply"
    assert action(other, "hello", "s", "lab") == "comply"


def test_without_a_redis_a_replica_knows_its_own_alone() -> None:
    one, other = (
        client(create_app(chat(0.99, on_unsafe="escalate"), tenants=KEYS)) for _ in range(2)
    )
    path = f"/v1/guardrail/reviews/{escalated(one)}"
    assert other.post(path, json=APPROVED, headers=headers("boss")).status_code == 404
