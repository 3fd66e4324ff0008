"""Attacks on the page's server: each against this machine, bounded in number and in time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from guardrail.record.audit.page.requests import LONGEST_HEAD, checked_target, names_us
from guardrail.record.audit.page.server import MOST_CONNECTIONS, AuditServer
from tests.record.audit.making import KEY

HEAD_S = 1.5


@pytest.fixture(scope="module")
def server(thousand_path: Path) -> Iterator[AuditServer]:
    made = AuditServer(thousand_path, port=0, key=KEY, head_s=HEAD_S)
    thread = threading.Thread(target=lambda: made.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.close()
    thread.join()


def connected(server: AuditServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def received(client: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            answer += part
    return answer


def sent(server: AuditServer, request: bytes) -> bytes:
    """Sends bytes as they are; returns all that comes back until the server closes."""
    with connected(server) as client:
        client.sendall(request)
        return received(client)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def request(
    server: AuditServer, line: bytes = b"GET / HTTP/1.1", *headers: bytes, host: str | None = ""
) -> bytes:
    own = [] if host is None else [f"Host: {host or f'127.0.0.1:{server.port}'}".encode()]
    return b"\r\n".join([line, *own, *headers, b"", b""])


def still_serves(server: AuditServer) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if status_of(sent(server, request(server, b"GET /static/page.css HTTP/1.1"))) == 200:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_its_own_names_are_answered(server: AuditServer, name: str) -> None:
    assert status_of(sent(server, request(server, host=f"{name}:{server.port}"))) == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        " ",
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.2:PORT",
        "localhost.:PORT",
        "localhost.evil.example:PORT",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT:PORT",
        "0.0.0.0:PORT",
        "[::]:PORT",
        "2130706433:PORT",
    ],
)
def test_foreign_empty_and_missing_hosts_are_refused(server: AuditServer, host: str | None) -> None:
    given = host and host.replace("PORT", str(server.port))
    answer = sent(server, request(server, host=given))
    assert status_of(answer) == 403
    assert b"/record/" not in answer


def test_two_hosts_are_refused(server: AuditServer) -> None:
    own = f"Host: 127.0.0.1:{server.port}".encode()
    for other in (b"Host: evil.example", own):
        assert status_of(sent(server, request(server, b"GET / HTTP/1.1", other))) == 403


def test_the_port_may_be_left_out_where_it_is_the_usual_one() -> None:
    assert names_us(["localhost"], 80)
    assert not names_us(["localhost"], 8080)
    assert not names_us([], 80)


@pytest.mark.parametrize("part", [b"GET / HTTP/1.1\r\nX: ", b"G"])
def test_a_head_fed_drop_by_drop_ends_in_time(server: AuditServer, part: bytes) -> None:
    started = time.monotonic()
    with connected(server) as client:
        client.sendall(part)
        with suppress(OSError):
            for _ in range(200):
                client.sendall(b"a")
                time.sleep(0.05)
        taken = time.monotonic() - started
        assert taken < 9.5  # it was cut off, not fed to its end
        answer = received(client)
    assert answer == b"" or status_of(answer) == 408


def test_a_connection_that_says_nothing_is_closed(server: AuditServer) -> None:
    started = time.monotonic()
    with connected(server) as client:
        assert received(client) == b""
    assert time.monotonic() - started < 30


def test_a_thousand_connections_take_few_threads_and_pass(server: AuditServer) -> None:
    before = threading.active_count()
    most = 0
    with ExitStack() as held:
        for at in range(1000):
            held.enter_context(connected(server))
            if at % 50 == 0:
                most = max(most, threading.active_count())
        most = max(most, threading.active_count())
    assert most - before <= MOST_CONNECTIONS
    assert still_serves(server)


def test_one_connection_too_many_is_told_to_come_back(server: AuditServer) -> None:
    assert still_serves(server)
    with ExitStack() as held:
        answers = []
        for _ in range(MOST_CONNECTIONS + 8):
            client = held.enter_context(connected(server))
            client.settimeout(0.02)
            with suppress(TimeoutError):
                answers.append(received(client))
        refused = [each for each in answers if each]
        assert refused
        assert {status_of(each) for each in refused} == {503}
        assert b"Retry-After" in refused[0]
    assert still_serves(server)


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1", [], 414),
        (b"GET /?" + b"a" * 3000 + b" HTTP/1.1", [], 414),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1", [], 431),
        (b"GET / HTTP/1.1", [b"X: " + b"a" * 70_000], 431),
        (b"GET / HTTP/1.1", [b"X: a"] * 200, 431),
        (b"GET / HTTP/1.1", [b"X-%d: a" % at for at in range(50_000)], 431),
        (b"GET / HTTP/1.1", [b"Content-Length: 10"], 413),
        (b"GET / HTTP/1.1", [b"Content-Length: -1"], 413),
        (b"GET / HTTP/1.1", [b"Transfer-Encoding: chunked"], 413),
        (b"GET / HTTP/2.0", [], 400),
        (b"GET / HTTP/0.9", [], 400),
        (b"GET /", [], 400),
        (b"GET", [], 400),
        (b"", [], 400),
        (b"\x16\x03\x01 hello", [], 400),
        (b"BREW / HTTP/1.1", [], 501),
        (b"get / HTTP/1.1", [], 501),
        (b"TRACE / HTTP/1.1", [], 501),
        (b"CONNECT evil.example:443 HTTP/1.1", [], 501),
        (b"GET http://evil.example/ HTTP/1.1", [], 400),
        (b"GET //evil.example/ HTTP/1.1", [], 400),
        (b"GET * HTTP/1.1", [], 400),
        (b"GET /\x00 HTTP/1.1", [], 400),
        (b"GET /\xff\xfe HTTP/1.1", [], 400),
        (b"GET /../../etc/passwd HTTP/1.1", [], 404),
        (b"GET /static/../server.py HTTP/1.1", [], 404),
        (b"GET /static/%2e%2e/server.py HTTP/1.1", [], 404),
        (b"GET /static/..%2fserver.py HTTP/1.1", [], 404),
        (b"GET /static/%00 HTTP/1.1", [], 404),
        (b"GET /static/page.css%00.html HTTP/1.1", [], 404),
        (b"GET /record/1/../0 HTTP/1.1", [], 404),
        (b"GET /record/%30 HTTP/1.1", [], 404),
        (b"GET /?" + b"&".join(b"a%d=1" % at for at in range(200)) + b" HTTP/1.1", [], 400),
    ],
)  # fmt: skip
def test_odd_requests_have_a_plain_answer(
    server: AuditServer, line: bytes, headers: list[bytes], status: int
) -> None:
    answer = sent(server, request(server, line, *headers))
    assert status_of(answer) == status
    assert b"default-src 'none'" in answer
    assert b"Traceback" not in answer
    assert b"root:" not in answer


def test_a_name_in_the_address_does_not_stand_for_the_host(server: AuditServer) -> None:
    line = f"GET http://127.0.0.1:{server.port}/ HTTP/1.1".encode()
    assert status_of(sent(server, request(server, line, host="evil.example"))) == 403


def test_pipelined_requests_have_one_answer(server: AuditServer) -> None:
    answer = sent(server, request(server, b"GET /static/page.css HTTP/1.1") * 50)
    assert answer.count(b"HTTP/1.") == 1
    assert status_of(answer) == 200


def test_no_connection_is_kept_alive(server: AuditServer) -> None:
    line = b"GET /static/page.css HTTP/1.1"
    answer = sent(server, request(server, line, b"Connection: keep-alive", b"Keep-Alive: 1000"))
    assert status_of(answer) == 200
    assert b"\r\nConnection: close\r\n" in answer


def test_a_body_is_neither_read_nor_waited_for(server: AuditServer) -> None:
    started = time.monotonic()
    answer = sent(server, request(server, b"POST / HTTP/1.1", b"Content-Length: 99999999") + b"a")
    assert status_of(answer) == 501
    assert time.monotonic() - started < 20


def test_no_more_of_a_head_is_held_than_is_said(server: AuditServer) -> None:
    with connected(server) as client, suppress(OSError):
        sent_bytes = 0
        for _ in range(2000):
            sent_bytes += client.send(b"a" * LONGEST_HEAD)
        raise AssertionError("32 MB were taken")


def test_a_client_that_breaks_off_is_no_trouble(server: AuditServer) -> None:
    for at in range(60):
        with connected(server) as client:
            client.sendall(request(server)[: at + 1])
            if at % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert still_serves(server)


def test_a_fragment_is_not_part_of_an_address() -> None:
    assert checked_target("GET /a?b=c#d HTTP/1.1") == ("/a", "b=c")
