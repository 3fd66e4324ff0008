"""How often a key may ask: told, counted across replicas, and closed where nobody can count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from guardrail.errors import SettingsError
from guardrail.serving.app import create_app
from guardrail.serving.tenants import Tenant, Tenants
from guardrail.shared.connection import SharedRedis
from tests.redis_server import running_redis
from tests.serving.served import COMPARE, COMPLETIONS, DECIDE, body, chat, client, hashed, headers

KEY = "k" * 16
KEYS = Tenants(
    [
        (
            hashed(name),
            Tenant("shop", rate=rate, reviews=True, compares=True, key=hashed(name)),
        )
        for name, rate in (("two", "2/day"), ("both", "100/second;2/day"), ("any", None))
    ]
)


def application(shared: SharedRedis | None = None) -> TestClient:
    """Returns a way to an application that answers at once: it blocks whatever it is asked."""
    return client(create_app(chat(0.99, on_unsafe="block"), tenants=KEYS, shared=shared))


@pytest.fixture(params=[False, True], ids=["here", "shared"])
def replicas(request: pytest.FixtureRequest) -> Iterator[list[TestClient]]:
    """Two ways to the same application: of one process, or of two that share a Redis."""
    if not request.param:
        yield [application()] * 2
        return
    url = request.getfixturevalue("redis_url")
    both = [SharedRedis(url, key=KEY) for _ in range(2)]
    yield [application(each) for each in both]
    for each in both:
        each.close()


@pytest.mark.parametrize("key", ["two", "both"])
def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    replicas: list[TestClient], key: str
) -> None:
    one, other = replicas
    first = one.post(COMPLETIONS, json=body(), headers=headers(key))
    second = other.post(COMPLETIONS, json=body(stream=True), headers=headers(key))
    for found, left in ((first, "1"), (second, "0")):
        assert found.status_code == 200
        assert found.headers["x-ratelimit-limit-requests"] == "2"
        assert found.headers["x-ratelimit-remaining-requests"] == left
    third = one.post(COMPLETIONS, json=body(), headers=headers(key))
    assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limited")
    assert third.json()["error"]["type"] == "rate_limit_error"
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    wait_s = int(third.headers["retry-after"])
    assert 1 <= wait_s <= 2 * 24 * 3600
    assert third.headers["x-ratelimit-reset-requests"] == f"{wait_s}s"
    unlimited = other.post(COMPLETIONS, json=body(), headers=headers("any"))
    assert unlimited.status_code == 200
    assert "x-ratelimit-limit-requests" not in unlimited.headers


def test_a_decision_and_a_comparison_count_once_each() -> None:
    asked = application()
    for path, left in ((DECIDE, "1"), (COMPARE, "0")):
        found = asked.post(path, json=body(max_tokens=2), headers=headers("two"))
        assert found.status_code == 200
        assert found.headers["x-ratelimit-remaining-requests"] == left
    for path in (COMPLETIONS, DECIDE, COMPARE):
        found = asked.post(path, json=body(), headers=headers("two"))
        assert (found.status_code, found.json()["error"]["code"]) == (429, "rate_limited")


def test_what_asks_for_no_answer_is_not_counted(replicas: list[TestClient]) -> None:
    for each in replicas * 2:
        assert each.get("/v1/models", headers=headers("two")).status_code == 200


def test_what_cannot_be_counted_is_not_answered() -> None:
    with running_redis() as (url, process):
        shared = SharedRedis(url, key=KEY)
        asked = application(shared)
        assert asked.post(COMPLETIONS, json=body(), headers=headers("two")).status_code == 200
        process.kill()
        process.wait()
        found = asked.post(COMPLETIONS, json=body(), headers=headers("two"))
        assert (found.status_code, found.json()["error"]["code"]) == (503, "unshared")
        assert found.headers["retry-after"] == "1"
        decision = asked.get("/v1/guardrail/decisions/x", headers=headers("two"))
        assert decision.status_code == 503
        # Whoever has no rate is answered still: the decision is on record, if not to look up.
        assert asked.post(COMPLETIONS, json=body(), headers=headers("any")).status_code == 200
        shared.close()


@pytest.mark.parametrize("rate", ["", "often", "0/minute", "60", "60/fortnight", "-1/minute"])
def test_a_rate_that_is_none_is_one_clear_error(rate: str, tmp_path: Path) -> None:
    keys = [{"sha256": hashed("k"), "tenant": "shop", "rate": rate}]
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump({"keys": keys}))
    with pytest.raises(SettingsError, match=r"keys\.0\.rate"):
        Tenants.from_file(tmp_path / "keys.yaml")


def test_a_file_of_keys_says_how_often_each_may_ask(tmp_path: Path) -> None:
    keys = [{"sha256": hashed("k"), "tenant": "shop", "rate": "60/minute"}]
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump({"keys": keys}))
    found = Tenants.from_file(tmp_path / "keys.yaml").of("k")
    assert found is not None
    assert (found.rate, found.key) == ("60/minute", hashed("k"))
