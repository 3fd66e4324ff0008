from __future__ import annotations

import http.server
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request import fetching as remote
from guardrail.request.fetching import UrlPolicy, fetch
from guardrail.request.pictures import PictureLimits, load_picture

_buffer = io.BytesIO()
Image.new("RGB", (6, 4), "teal").save(_buffer, "PNG")
PNG = _buffer.getvalue()

Handler = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site:
    """A server on loopback that plays a public host, since tests have no other."""

    def __init__(self) -> None:
        self.pages: dict[str, Handler] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Request(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                site.pages[self.path.partition("?")[0]](self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def send(body: bytes, status: int = 200, **headers: str) -> Handler:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        given = {"Content-Length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in given.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


POLICY = UrlPolicy(
    hosts=frozenset({"pictures.test", "*.cdn.test"}),
    schemes=frozenset({"http", "https"}),
    timeout_s=60,
)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site()
    monkeypatch.setattr(remote, "_PORTS", {"http": made.port, "https": 443})
    monkeypatch.setattr(remote, "_is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", resolver({}, otherwise="127.0.0.1"))
    yield made
    made.close()


def resolver(known: dict[str, Any], otherwise: str | None = None) -> Callable[..., Any]:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        addresses = known.get(host, otherwise)
        if addresses is None:
            raise socket.gaierror(8, "unknown")
        listed = [addresses] if isinstance(addresses, str) else addresses
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in listed
        ]

    return resolve


def fault(url: str, policy: UrlPolicy = POLICY, max_bytes: int = 10_000) -> str:
    with pytest.raises(PictureError) as caught:
        fetch(url, policy, max_bytes=max_bytes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_picture_from_an_allowed_host(site: Site) -> None:
    site.pages["/a.png"] = send(PNG)
    limits = PictureLimits(urls=POLICY)
    for host in ("pictures.test", "PICTURES.test.", "eu.cdn.test", "a.b.cdn.test"):
        picture = load_picture(f"http://{host}/a.png?size=1", limits=limits)
        assert picture.image.size == (6, 4)
    path, headers = site.requests[0]
    assert path == "/a.png?size=1"
    assert headers["Host"].startswith("pictures.test")
    assert not {"Cookie", "Authorization", "Referer"} & headers.keys()


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.test/a.png",
        "http://cdn.test/a.png",
        "http://evil-pictures.test/a.png",
        "http://pictures.test.evil.test/a.png",
        "http://127.0.0.1/a.png",
        "http://2130706433/a.png",
        "http://[::1]/a.png",
        "http:///a.png",
    ],
)
def test_other_hosts_are_refused(site: Site, url: str) -> None:
    assert "not allowed" in fault(url)
    assert not site.requests


def test_odd_addresses_are_refused(site: Site) -> None:
    assert "user name" in fault("http://me:secret@pictures.test/a.png")
    assert "secret" not in fault("http://me:secret@pictures.test/a.png")
    assert "port" in fault("http://pictures.test:8081/a.png")
    assert "control" in fault("http://pictures.test/a b.png")
    assert "control" in fault("http://pictures.test/a\r\nHost: x")
    assert "understood" in fault("http://[pictures.test/a.png")
    assert "only" in fault("http://pictures.test/", UrlPolicy(hosts=frozenset({"pictures.test"})))
    assert not site.requests


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver({"pictures.test": address}))
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a connection was made"))
    assert "not public" in fault("https://pictures.test/a.png")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert remote._is_public(address)


def test_one_private_address_among_public_ones_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = resolver({"pictures.test": ["93.184.216.34", "127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert "not public" in fault("https://pictures.test/a.png")


def test_the_address_that_was_checked_is_the_one_connected_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/a.png"] = send(PNG)
    asked: list[str] = []
    checked = resolver({}, otherwise="127.0.0.1")

    def rebinding(host: str, port: int, **options: Any) -> Any:
        asked.append(host)
        return checked(host, port) if len(asked) == 1 else resolver({host: "10.0.0.1"})(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert fetch("http://pictures.test/a.png", POLICY, max_bytes=10_000) == PNG
    assert asked == ["pictures.test"]


def test_redirects_are_followed_and_checked_again(site: Site) -> None:
    site.pages["/a.png"] = send(PNG)
    site.pages["/near"] = send(b"", 302, Location="/a.png")
    site.pages["/far"] = send(b"", 307, Location="http://eu.cdn.test/near")
    site.pages["/out"] = send(b"", 301, Location="http://elsewhere.test/a.png")
    site.pages["/file"] = send(b"", 301, Location="file:///etc/passwd")
    site.pages["/loop"] = send(b"", 302, Location="/loop")
    site.pages["/nowhere"] = send(b"", 302)
    assert fetch("http://pictures.test/far", POLICY, max_bytes=10_000) == PNG
    assert "'elsewhere.test' is not allowed" in fault("http://pictures.test/out")
    assert "'file'" in fault("http://pictures.test/file")
    assert "more than 3 times" in fault("http://pictures.test/loop")
    assert "nowhere" in fault("http://pictures.test/nowhere")


def test_size_limits(site: Site) -> None:
    site.pages["/a.png"] = send(PNG)
    site.pages["/liar"] = send(b"x" * 5000, Content_Length="")
    assert "larger than" in fault("http://pictures.test/a.png", max_bytes=len(PNG) - 1)
    assert fetch("http://pictures.test/a.png", POLICY, max_bytes=len(PNG)) == PNG
    assert "larger than" in fault("http://pictures.test/liar", max_bytes=4000)


def test_unfit_answers(site: Site) -> None:
    site.pages["/missing"] = send(b"no", 404)
    site.pages["/zip"] = send(b"x", Content_Encoding="gzip")
    site.pages["/short"] = send(b"x", Content_Length="100")
    assert "answered 404" in fault("http://pictures.test/missing")
    assert "compressed" in fault("http://pictures.test/zip")
    assert "cannot be reached" in fault("http://pictures.test/short")


@pytest.mark.parametrize("slow", ["headers", "body"])
def test_a_peer_that_drips_is_cut_off(site: Site, slow: str) -> None:
    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        try:
            if slow == "body":
                request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for letter in b"HTTP/1.1 200 OK\r\nX-Y: " + b"z" * 1000:
                request.wfile.write(bytes([letter]))
                time.sleep(0.02)
        except OSError:
            pass

    site.pages["/drip"] = drip
    policy = UrlPolicy(hosts=POLICY.hosts, schemes=POLICY.schemes, timeout_s=0.3)
    started = time.monotonic()
    assert "took longer than 0.3 s" in fault("http://pictures.test/drip", policy)
    assert time.monotonic() - started < 15  # to its end it takes 20 s and more


def test_slow_names_are_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    policy = UrlPolicy(hosts=frozenset({"pictures.test"}), timeout_s=0.1)
    assert "took longer" in fault("https://pictures.test/a.png", policy)


def test_unreachable_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver({}))
    assert "cannot be reached" in fault("https://pictures.test/a.png")


def test_only_the_host_is_named_in_errors(site: Site) -> None:
    site.pages["/canary"] = send(b"", 500)
    assert "canary" not in fault("http://pictures.test/canary?token=canary")


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": frozenset({"*"})},
        {"hosts": frozenset({"https://example.org"})},
        {"hosts": frozenset({"a.*.org"})},
        {"hosts": frozenset({""})},
        {"hosts": frozenset({"a.org"}), "schemes": frozenset({"ftp"})},
        {"hosts": frozenset({"a.org"}), "timeout_s": 0},
        {"hosts": frozenset({"a.org"}), "max_redirects": -1},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        UrlPolicy(**wrong)
