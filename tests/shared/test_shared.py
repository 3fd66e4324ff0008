"""What processes share, in a real Redis: kept in bounds, unreadable, and closed where it dies."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from guardrail.errors import SettingsError, StoreError
from guardrail.judging.approvals import Approvals
from guardrail.judging.guard import Guard
from guardrail.policy import load_policy
from guardrail.policy.memory import Recollection
from guardrail.policy.review import Review
from guardrail.request.conversation import question
from guardrail.shared.connection import SharedRedis
from guardrail.shared.kept import Kept
from guardrail.shared.ledger import SharedLedger
from guardrail.shared.sessions import SharedSessions
from tests.redis_server import running_redis

KEY = "k" * 16


@pytest.fixture
def shared(redis_url: str) -> Iterator[SharedRedis]:
    found = SharedRedis(redis_url, key=KEY)
    yield found
    found.close()


def all_of_it(client: Any) -> bytes:
    """Returns every name and value that a Redis holds."""
    kinds = {b"string": client.get, b"zset": lambda name: b"".join(client.zrange(name, 0, -1))}
    return b"".join(name + kinds[client.type(name)](name) for name in client.keys("*"))


def test_a_session_ends_with_its_time_and_so_does_the_list_of_sessions(shared: SharedRedis) -> None:
    sessions = SharedSessions(shared, ttl_s=30)
    sessions.remember("a", Recollection("1", {}, False))
    names = shared.client.keys("*")
    assert len(names) == 2
    assert all(0 < shared.client.pttl(name) <= 30_000 for name in names)
    shared.client.expire(shared.name("session", "a"), 0)
    assert sessions.recall("a") == ()


def test_what_has_ended_takes_nobodys_place(shared: SharedRedis) -> None:
    short, sessions = (SharedSessions(shared, capacity=2, ttl_s=ttl) for ttl in (0.001, 30))
    sessions.remember("a", Recollection("1", {}, False))
    short.remember("b", Recollection("2", {}, False))
    while short.recall("b"):
        pass
    sessions.remember("c", Recollection("3", {}, False))
    assert [bool(sessions.recall(name)) for name in "abc"] == [True, False, True]


def test_no_name_and_no_key_lies_in_the_redis(shared: SharedRedis, redis_url: str) -> None:
    sessions = SharedSessions(shared)
    sessions.remember("shop\x1fada-lovelace", Recollection("1", {"x": 0.5}, False))
    SharedLedger(shared).use("token-of-ada", time.time() + 60)
    held = all_of_it(shared.client)
    assert b'"x":0.5' in held
    for word in (b"shop", b"ada", KEY.encode()):
        assert word not in held
    other = SharedRedis(redis_url, key="another key of 16")
    assert SharedSessions(other).recall("shop\x1fada-lovelace") == ()
    other.close()


@pytest.mark.parametrize("held", ["{", "[1]", '[{"request_id": "1"}]', '{"a": 1}'])
def test_what_is_no_session_is_an_error(held: str, shared: SharedRedis) -> None:
    shared.client.set(shared.name("session", "a"), held)
    with pytest.raises(StoreError, match="no session"):
        SharedSessions(shared).recall("a")


def test_a_session_that_others_never_stop_adding_to_is_an_error(
    shared: SharedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "swap", lambda *_: False)
    with pytest.raises(StoreError, match="at once"):
        SharedSessions(shared).remember("a", Recollection("1", {}, False))


def test_a_value_is_kept_in_the_place_of_the_one_that_was_seen_only(shared: SharedRedis) -> None:
    kept = Kept(shared, "thing", capacity=2, ttl_s=30)
    assert kept.swap("a", None, b"1")
    assert not kept.swap("a", None, b"2")
    assert not kept.swap("a", b"2", b"3")
    assert kept.swap("a", b"1", b"4")
    assert kept.get("a") == b"4"
    for name in "bc":
        kept.put(name, name.encode())
    assert [kept.get(name) for name in "abc"] == [None, b"b", b"c"]


ADDS = """
import sys
from guardrail.policy.memory import Recollection
from guardrail.shared.connection import SharedRedis
from guardrail.shared.sessions import SharedSessions
sessions = SharedSessions(SharedRedis(sys.argv[1], key=sys.argv[2]))
for number in range(20):
    sessions.remember("shared", Recollection(f"{sys.argv[3]}-{number}", {}, False))
"""


def test_processes_lose_nothing(shared: SharedRedis, redis_url: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", ADDS, redis_url, KEY, str(n)]) for n in range(3)
    ]
    assert [each.wait(60) for each in started] == [0, 0, 0]
    found = [each.request_id for each in SharedSessions(shared).recall("shared")]
    assert sorted(found) == sorted(f"{n}-{number}" for n in range(3) for number in range(20))
    for n in range(3):
        of_one = [each for each in found if each.startswith(f"{n}-")]
        assert of_one == [f"{n}-{number}" for number in range(20)]


def test_an_approval_counts_once_in_all_processes(shared: SharedRedis) -> None:
    here, there = (Approvals(key=KEY, ledger=SharedLedger(shared)) for _ in range(2))
    asked, known = question("May I?"), "0" * 32
    token = here.issue(known, asked, "policy")
    review = Review(request_id=known, approved=True, token=token)
    assert there.refusal(review, asked, "policy") is None
    assert here.refusal(review, asked, "policy") == "it was used already"
    [name] = shared.client.keys("*")
    assert 3_600_000 < shared.client.pttl(name) <= 3_721_000


def forgetful(**options: Any) -> Guard:
    base = load_policy("baseline")
    return Guard(
        policy=base.model_copy(update={"session": {"memory": "max"}}),
        judge=lambda request: 0.01,
        **options,
    )


def test_a_redis_that_dies_closes_what_depends_on_it() -> None:
    with running_redis() as (url, process):
        shared = SharedRedis(url, key=KEY)
        shared.check()
        guard = forgetful(sessions=SharedSessions(shared))
        asked = question("hello", session="s")
        assert not guard.decide(asked).withheld
        process.kill()
        process.wait()
        decision = guard.decide(asked).decision
        assert (decision.verdict.label, decision.action) == ("unavailable", "block")
        assert decision.errors == ["the session memory failed: StoreError"]
        assert not guard.decide(question("hello")).withheld
        approvals = Approvals(key=KEY, ledger=SharedLedger(shared))
        token = approvals.issue("0" * 32, asked, "policy")
        review = Review(request_id="0" * 32, approved=True, token=token)
        assert "ledger of approvals failed" in str(approvals.refusal(review, asked, "policy"))
        with pytest.raises(StoreError, match="failed"):
            shared.check()
        shared.close()


def test_a_redis_that_comes_back_is_used_again() -> None:
    with running_redis() as (url, _):
        shared = SharedRedis(url, key=KEY)
        sessions = SharedSessions(shared)
        sessions.remember("a", Recollection("1", {}, False))
        for client in shared.client.client_list():
            shared.client.client_kill_filter(_id=client["id"], skipme=False)
        assert sessions.recall("a")
        shared.close()


def test_a_redis_that_hangs_is_not_waited_for() -> None:
    with running_redis() as (url, process):
        shared = SharedRedis(url, key=KEY)
        sessions = SharedSessions(shared)
        sessions.remember("a", Recollection("1", {}, False))
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="TimeoutError"):
            sessions.recall("a")
        process.send_signal(signal.SIGCONT)
        shared.close()


@pytest.mark.parametrize(("memory", "refused"), [("10mb", True), ("0", False)])
def test_a_redis_that_forgets_is_not_relied_on(memory: str, refused: bool, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", memory)
        shared = SharedRedis(redis_url, key=KEY)
        try:
            if refused:
                with pytest.raises(SettingsError, match="expected noeviction"):
                    shared.check()
            else:
                shared.check()
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
            shared.close()


def test_a_password_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        shared = SharedRedis(f"redis://ada:secret@127.0.0.1:{port}/3", key=KEY)
        with pytest.raises(StoreError) as raised:
            shared.check()
    assert str(raised.value) == f"the Redis at 127.0.0.1:{port}/3 failed: ConnectionError"
    with pytest.raises(SettingsError) as wrong:
        SharedRedis("http://ada:secret@127.0.0.1", key=KEY)
    with pytest.raises(SettingsError) as odd:
        SharedRedis("redis://ada:secret@127.0.0.1:many", key=KEY)
    assert wrong.value.__suppress_context__
    for each in (repr(shared), str(wrong.value), str(odd.value), caplog.text):
        assert "secret" not in each
    shared.close()


def test_a_wrong_password_is_one_clear_error() -> None:
    with running_redis("--requirepass", "right") as (url, _):
        shared = SharedRedis(url.replace("unix://", "unix://:wrong@"), key=KEY)
        with pytest.raises(StoreError, match="AuthenticationError") as raised:
            shared.check()
        assert "wrong" not in str(raised.value)
        shared.close()
        right = SharedRedis(url.replace("unix://", "unix://:right@"), key=KEY)
        right.check()
        right.close()


@pytest.mark.parametrize("key", ["", "short"])
def test_without_a_key_nothing_is_shared(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAIL_APPROVAL_KEY", key)
    with pytest.raises(SettingsError, match="set GUARDRAIL_APPROVAL_KEY"):
        SharedRedis("redis://127.0.0.1")


def test_importing_what_is_shared_loads_no_redis() -> None:
    script = "import sys, guardrail.shared.sessions, guardrail.shared.ledger; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert {"redis", "torch"}.isdisjoint(made.stdout.split())
