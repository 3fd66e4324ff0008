"""What operators read of a server: counts that add up, and nobody's name or words in them."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from guardrail.record.telemetry.tracing import Tracing
from guardrail.serving.app import create_app
from guardrail.serving.exposition import Exposition
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.serving.served import (
    COMPARE,
    COMPLETIONS,
    body,
    chat,
    client,
    hashed,
    headers,
    listening,
)

KEYS = Tenants([(hashed("app"), Tenant("shop")), (hashed("scraper"), Tenant("ops", metrics=True))])
SECONDS = "http_server_request_duration_seconds_count"
DECISIONS = "guardrail_decisions_total"
REQUESTS = "guardrail_server_requests"


def counted(p: Any = 0.01, *, max_inflight: int = 8, **how: Any) -> FastAPI:
    """Returns an application whose engine and server count in one place."""
    exposition = Exposition()
    guarded = chat(p, **how.pop("verdict", {}))
    guarded.engine.tracing = Tracing(meter=exposition.meter("guardrail"))
    return create_app(guarded, exposition=exposition, max_inflight=max_inflight, **how)


def short(text: str = "How do I cut this?", **more: Any) -> dict[str, Any]:
    return body(text, **{"max_tokens": 2, **more})


def samples(text: str) -> list[Any]:
    return [each for family in text_string_to_metric_families(text) for each in family.samples]


def total(text: str, name: str, **labels: str) -> float:
    """Returns the sum of a name's samples that have these labels."""
    return sum(
        each.value
        for each in samples(text)
        if each.name == name and labels.items() <= each.labels.items()
    )


def scraped(url: str, key: str = "") -> str:
    sent: Mapping[str, str] = headers(key) if key else {}
    found = httpx.get(url.replace("/v1", "/metrics"), headers=sent)
    assert found.status_code == 200, found.text
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    return found.text


def test_counts_add_up_on_a_real_server_with_those_refused() -> None:
    def judge(request: Any) -> float:
        return 0.99 if "knife" in request.conversation.turns[-1].text else 0.01

    app = counted(judge, verdict={"on_unsafe": "block"}, hosts=LOOPBACK)
    with listening(app) as url:
        asked = f"{url}/chat/completions"
        for text in ("How do I use a knife?", "How do I use the knife?"):
            assert httpx.post(asked, json=short(text), timeout=60).status_code == 200
        httpx.post(asked, json=short(stream=True), timeout=60)
        assert httpx.post(asked, json=body(n=2)).status_code == 400
        assert httpx.post(asked, json={**body(), "model": "other"}).status_code == 404
        assert httpx.get(f"{url}/nowhere/nobody").status_code == 404
        assert httpx.get(f"{url}/guardrail/decisions/nobody").status_code == 404
        assert httpx.post(asked, json=body(), headers={"host": "evil.test"}).status_code == 403
        said = scraped(url)
    assert total(said, DECISIONS, guardrail_action="block") == 2
    assert total(said, DECISIONS, guardrail_action="comply") == 1
    assert total(said, "guardrail_requests_total") == 3
    completions = {"http_route": COMPLETIONS, "http_request_method": "POST"}
    for status, count in (("200", 3), ("400", 1), ("404", 1)):
        assert total(said, SECONDS, **completions, http_response_status_code=status) == count
    by_template = "/v1/guardrail/decisions/{request_id}"
    assert total(said, SECONDS, http_route=by_template) == 1
    assert total(said, SECONDS, http_response_status_code="403") == 1
    assert total(said, SECONDS) == 8
    assert total(said, REQUESTS) == 0
    assert total(said, "guardrail_server_limit") == 8
    assert total(said, "http_server_active_requests") == 1  # the one that asks
    assert total(said, "process_resident_memory_bytes") > 0
    assert total(said, "gen_ai_client_operation_duration_seconds_count") == 3


def test_who_waits_who_is_answered_and_who_is_turned_away_is_counted() -> None:
    judging, judged = threading.Event(), threading.Event()

    def judge(request: Any) -> float:
        judging.set()
        assert judged.wait(20)
        return 0.01

    with listening(counted(judge, max_inflight=1)) as url:
        asked = f"{url}/chat/completions"
        assert total(scraped(url), "guardrail_server_turned_away_total") == 0

        def ask() -> None:
            httpx.post(asked, json=short(), timeout=60)

        thread = threading.Thread(target=ask)
        thread.start()
        assert judging.wait(20)
        assert httpx.post(asked, json=body()).status_code == 429
        said = scraped(url)
        judged.set()
        thread.join()
        after = scraped(url)
    assert total(said, REQUESTS, guardrail_request_state="waiting") == 1
    assert total(said, REQUESTS, guardrail_request_state="answering") == 0
    assert total(said, "guardrail_server_turned_away_total") == 1
    assert total(said, SECONDS, http_response_status_code="429") == 1
    assert total(after, REQUESTS) == 0
    assert total(after, SECONDS, http_route=COMPLETIONS) == 2


def test_nothing_of_a_request_or_a_tenant_is_a_label() -> None:
    asked = client(counted(tenants=KEYS))
    secret = "PLAINWORDS"
    sent = {**headers("app"), "x-guardrail-session": f"{secret}-session"}
    assert asked.post(f"{COMPLETIONS}?q={secret}", json=short(secret), headers=sent).is_success
    asked.get(f"/{secret}", headers=sent)
    asked.get(f"/v1/guardrail/decisions/{secret}", headers=sent)
    asked.request(secret, COMPLETIONS, headers=sent)
    said = asked.get("/metrics", headers=headers("scraper")).text
    assert total(said, SECONDS, http_request_method="_OTHER") == 1
    for word in (secret, "shop", "ops"):
        assert word not in said


@pytest.mark.parametrize(("key", "status"), [("", 401), ("none", 401), ("app", 403)])
def test_with_keys_only_one_for_metrics_reads_them(key: str, status: int) -> None:
    asked = client(counted(tenants=KEYS))
    found = asked.get("/metrics", headers=headers(key) if key else {})
    assert found.status_code == status
    assert "guardrail_" not in found.text
    assert asked.get("/metrics", headers=headers("scraper")).status_code == 200


def test_without_metrics_to_read_it_says_so() -> None:
    found = client().get("/metrics")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "no_metrics")


def test_what_failed_on_our_side_has_a_code() -> None:
    app = counted()
    guarded = app.state.desk.chat
    guarded.engine.stream = lambda *args, **how: 1 / 0
    asked = client(app)
    assert asked.post(COMPLETIONS, json=body()).status_code == 500
    said = asked.get("/metrics").text
    assert total(said, SECONDS, error_type="internal_error", http_response_status_code="500") == 1


PROVIDERS = """
import sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from guardrail.serving.exposition import Exposition
if sys.argv[1] == "theirs":
    reader = InMemoryMetricReader()
    theirs = MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(theirs)
if sys.argv[1] == "none":
    metrics.set_meter_provider(metrics.NoOpMeterProvider())
early = metrics.get_meter("early").create_counter("early")
found = Exposition.of_process()
early.add(3)
if sys.argv[1] == "theirs":
    assert metrics.get_meter_provider() is theirs
    [data] = reader.get_metrics_data().resource_metrics
    assert data.scope_metrics[0].metrics[0].name == "early"
print(b"early_total" in found.text() if found else None)
"""


@pytest.mark.parametrize(
    ("whose", "read"), [("nobodys", "True"), ("theirs", "True"), ("none", "None")]
)
def test_a_meter_provider_that_somebody_has_set_stays(whose: str, read: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROVIDERS, whose],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == read


def test_pages_and_comparisons_are_counted_by_their_template_and_logged_once_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = counted(0.99, verdict={"on_unsafe": "block"}, hosts=LOOPBACK)
    asked = client(app)
    with caplog.at_level(logging.INFO, "guardrail.serving.visit"):
        found = asked.post(COMPARE, json=short())
        pages = [asked.get(path).status_code for path in ("/", "/docs", "/examples/nobody.png")]
    assert (found.status_code, pages) == (200, [200, 200, 404])
    lines = [each.request for each in caplog.records if hasattr(each, "request")]
    routes = [COMPARE, "/", "/docs", "/examples/{name}.png"]
    assert [each["route"] for each in lines] == routes
    assert lines[0]["request_id"] == found.headers["x-guardrail-request-id"]
    assert lines[0]["action"] == "block"
    said = asked.get("/metrics").text
    assert [total(said, SECONDS, http_route=route) for route in routes] == [1, 1, 1, 1]
    assert total(said, "guardrail_requests_total") == 2
    assert total(said, REQUESTS) == 0
