"""What was escalated is answered once a human of the same tenant has approved it, not before."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrail.serving.app import create_app
from guardrail.serving.tenants import Tenant, Tenants
from tests.serving.served import COMPLETIONS, body, chat, client, hashed, headers

KEYS = Tenants(
    [
        (hashed("app"), Tenant("shop")),
        (hashed("boss"), Tenant("shop", reviews=True)),
        (hashed("lab"), Tenant("lab", reviews=True)),
    ]
)
APPROVED = {"approved": True, "by": "Ada"}


@pytest.fixture
def asked() -> TestClient:
    return client(create_app(chat(0.99, on_unsafe="escalate"), tenants=KEYS))


def escalated(asked: TestClient) -> str:
    found = asked.post(COMPLETIONS, json=body(), headers=headers("app"))
    assert found.status_code == 422
    return str(found.json()["error"]["request_id"])


def again(asked: TestClient, request_id: str, key: str = "app", **more: Any) -> Any:
    sent = {**headers(key), "x-guardrail-review": request_id}
    return asked.post(COMPLETIONS, json=body(**more), headers=sent)


def test_what_is_approved_is_answered_once(asked: TestClient) -> None:
    request_id = escalated(asked)
    assert again(asked, request_id).status_code == 422
    path = f"/v1/guardrail/reviews/{request_id}"
    assert asked.post(path, json=APPROVED, headers=headers("boss")).json()["approved"]
    found = again(asked, request_id).json()
    assert found["choices"][0]["message"]["content"]
    assert found["guardrail"]["review"]["by"] == "Ada"
    assert "token" not in found["guardrail"]["review"]
    assert again(asked, request_id).status_code == 422


def test_an_approval_is_of_the_same_words_alone(asked: TestClient) -> None:
    request_id = escalated(asked)
    asked.post(f"/v1/guardrail/reviews/{request_id}", json=APPROVED, headers=headers("boss"))
    assert again(asked, request_id, text="How do I cut him?").status_code == 422
    assert again(asked, request_id, key="lab").status_code == 422
    assert again(asked, request_id).status_code == 200


def test_what_is_rejected_is_not_answered(asked: TestClient) -> None:
    request_id = escalated(asked)
    rejected = {"approved": False, "by": "Ada"}
    path = f"/v1/guardrail/reviews/{request_id}"
    assert asked.post(path, json=rejected, headers=headers("boss")).status_code == 200
    assert asked.post(path, json=APPROVED, headers=headers("boss")).status_code == 409
    found = again(asked, request_id).json()
    assert found["guardrail"]["action"] == "block"
    assert found["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(("key", "status"), [("app", 403), ("lab", 404), ("none", 401)])
def test_only_a_reviewer_of_the_tenant_may_review(asked: TestClient, key: str, status: int) -> None:
    path = f"/v1/guardrail/reviews/{escalated(asked)}"
    assert asked.post(path, json=APPROVED, headers=headers(key)).status_code == status


@pytest.mark.parametrize("said", [{}, {"approved": True}, {**APPROVED, "token": "t"}])
def test_a_review_that_is_none_is_an_error(asked: TestClient, said: Any) -> None:
    path = f"/v1/guardrail/reviews/{escalated(asked)}"
    assert asked.post(path, json=said, headers=headers("boss")).status_code == 400
