"""Each error of ours has one status and one code, and tells a client no more than it may know."""

from __future__ import annotations

import logging

import pytest

from guardrail.errors import (
    AuditError,
    DatasetError,
    GuardrailError,
    MessageError,
    ModelError,
    PictureError,
    PolicyError,
    ServerError,
    SettingsError,
)
from guardrail.serving.failures import Failure, told

HERE = "/srv/secret"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MessageError("block 0 holds audio"), 400, "invalid_message"),
        (PictureError("it is truncated"), 400, "invalid_picture"),
        (SettingsError("temperature is -1"), 400, "invalid_settings"),
    ],
)
def test_what_a_client_did_wrong_is_told(error: GuardrailError, status: int, code: str) -> None:
    found = told(error)
    assert (found.status, found.code, found.message) == (status, code, str(error))
    assert found.body()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AuditError(f"{HERE}/audit.db cannot be written"), 503, "unrecorded"),
        (ModelError(f"{HERE}/model is broken by {'asked'!r}"), 502, "model_failed"),
        (ServerError(f"http://{HERE} is down", status=500), 502, "model_failed"),
        (TimeoutError("asked"), 504, "timeout"),
        (PolicyError("it is broken", file=f"{HERE}/policy.yaml"), 500, "PolicyError"),
        (DatasetError(HERE), 500, "DatasetError"),
        (MemoryError("asked"), 500, "internal_error"),
        (ValueError("asked"), 500, "internal_error"),
    ],
)
def test_what_we_did_wrong_is_for_the_log(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "guardrail.serving"):
        found = told(error)
    assert (found.status, found.code) == (status, code)
    assert found.body()["error"]["type"] == "server_error"
    assert HERE not in str(found.body())
    assert "asked" not in caplog.text
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize(
    ("wanted", "told_s"),
    [(None, "1"), (0.0, "1"), (2.2, "3"), (3600.0, "60"), (float("inf"), "60")],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_models_server_that_is_busy_is_one_to_come_again_to(
    status: int, wanted: float | None, told_s: str
) -> None:
    found = told(ServerError(f"{HERE} is busy", status=status, retry_after_s=wanted))
    assert (found.status, found.code) == (503, "busy_behind")
    assert found.headers["retry-after"] == told_s
    assert HERE not in found.message


def test_a_failure_is_told_as_it_is() -> None:
    found = Failure(429, "come again", "busy", headers={"retry-after": "1"}, more={"n": 3})
    assert told(found) is found
    assert found.body()["error"]["n"] == 3
    assert found.body()["error"]["type"] == "rate_limit_error"
