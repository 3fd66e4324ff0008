"""What the server logs: for people or for programs, and nobody's words in either."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from guardrail.errors import AuditError
from guardrail.record.telemetry.tracing import Tracing
from guardrail.serving.app import create_app
from guardrail.serving.log import JsonLines, Lines
from tests.serving.served import COMPLETIONS, body, chat, client

FORMATTERS = [Lines(), JsonLines()]


def record(name: str, message: str, *arguments: Any, error: Any = None) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, error)


def raised(error: Exception) -> Any:
    try:
        raise error
    except Exception:
        return sys.exc_info()


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_exception_is_logged_by_its_kind_and_place(formatter: logging.Formatter) -> None:
    said = formatter.format(record("guardrail.x", "it broke", error=raised(KeyError("WORDS"))))
    assert "WORDS" not in said
    assert "KeyError" in said
    assert "test_log.py" in said
    assert "in raised" in said


def test_one_of_our_own_says_why_without_what_it_quotes() -> None:
    error = raised(AuditError(f"the log {'/srv/WORDS'!r} cannot be written: disk full"))
    said = json.loads(JsonLines().format(record("guardrail.x", "it broke", error=error)))
    assert said["error"]["type"] == "AuditError"
    assert said["error"]["reason"] == "the log … cannot be written: disk full"


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_lines_of_others_lose_what_they_quote(formatter: logging.Formatter) -> None:
    message = "Task exception was never retrieved: exception=%r, 100%%"
    said = formatter.format(record("asyncio", message, ValueError("WORDS")))
    assert "WORDS" not in said
    assert "exception=ValueError(" in said
    assert "100%" in said


def test_a_line_is_one_line() -> None:
    said = JsonLines().format(record("guardrail.x", "one\ntwo \u2028 %s", "three"))
    assert said.splitlines() == [said]
    assert json.loads(said)["message"] == "one\ntwo \u2028 three"
    assert json.loads(said)["time"].endswith("Z")


def test_a_request_says_its_trace_and_what_became_of_its_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    guarded = chat(0.99, on_unsafe="block")
    guarded.engine.tracing = Tracing(tracer=TracerProvider().get_tracer("t"))
    with caplog.at_level(logging.INFO, "guardrail.serving.visit"):
        client(create_app(guarded)).post(COMPLETIONS, json=body(stream=True))
    [line] = [each for each in caplog.records if hasattr(each, "request")]
    said = line.request  # type: ignore[attr-defined]
    assert (said["status"], said["action"], said["tenant"]) == (200, "block", "local")
    assert len(said["trace_id"]) == len(said["request_id"]) == 32
