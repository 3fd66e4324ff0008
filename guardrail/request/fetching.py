"""Fetching a picture from an allowed host, and from nowhere else.

What a message names is chosen by strangers: an address is a request that this machine makes for
them. So hosts are listed, each name is resolved once, every address it has must be public, and the
connection goes to the address that was checked (a name that resolves anew cannot lead elsewhere).
Redirects are checked all over again. Proxies, cookies and credentials are never used.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from guardrail.errors import PictureError

_Address = tuple[socket.AddressFamily, str]
_Result = TypeVar("_Result")
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_BLOCK = 64 * 1024


@dataclass(frozen=True)
class UrlPolicy:
    """Which remote addresses may be fetched.

    Attributes:
        hosts: Host names; `*.example.org` allows every name below it (but not itself).
        timeout_s: For one picture altogether: names, redirects, headers and data.
        max_redirects: Each one is checked like the first address.
        schemes: `https`; add `http` only where nobody on the way can be mistrusted.
    """

    hosts: frozenset[str]
    timeout_s: float = 10.0
    max_redirects: int = 3
    schemes: frozenset[str] = field(default=frozenset({"https"}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", frozenset(host.lower() for host in self.hosts))
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} is no host name: expected 'example.org' or '*.example.org'"
                )
        if unknown := self.schemes - _PORTS.keys():
            raise ValueError(f"unknown scheme {min(unknown)!r}: expected 'https' or 'http'")
        if not self.timeout_s > 0 or self.max_redirects < 0:
            raise ValueError("timeout_s must be above 0 and max_redirects 0 or more")

    def allows(self, host: str) -> bool:
        """Whether a host name (lower case, ASCII) is listed."""
        below = host.split(".")
        above = (".".join(below[level:]) for level in range(1, len(below)))
        return host in self.hosts or any(f"*.{name}" in self.hosts for name in above)


def fetch(url: str, policy: UrlPolicy, *, max_bytes: int) -> bytes:
    """Returns the body of an allowed address.

    Args:
        url: An `http(s)://` address.
        policy: What is allowed.
        max_bytes: Largest body.

    Raises:
        PictureError: The address is not allowed, or cannot be fetched within the limits. Only the
            host is named: the rest of an address may hold secrets.
    """
    deadline = time.monotonic() + policy.timeout_s
    for _ in range(policy.max_redirects + 1):
        parts, host = _checked(url, policy)
        try:
            answer = _get(parts, host, deadline, max_bytes)
        except TimeoutError as error:
            raise PictureError(
                f"{host!r} took longer than {policy.timeout_s:g} s: "
                "try again, or download the picture and give its path"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise PictureError(
                f"{host!r} cannot be reached ({type(error).__name__}): check the address"
            ) from error
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise PictureError(f"{host!r} redirects more than {policy.max_redirects} times: it is refused")


def _checked(url: str, policy: UrlPolicy) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii").lower()
    except (ValueError, UnicodeError) as error:
        raise PictureError("the picture's address cannot be understood: check it") from error
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise PictureError("the picture's address holds spaces or control characters: encode them")
    scheme = parts.scheme.lower()
    if scheme not in policy.schemes:
        allowed = " or ".join(sorted(policy.schemes))
        raise PictureError(f"pictures may be fetched by {allowed} only, not {scheme!r}")
    if parts.username is not None or parts.password is not None:
        raise PictureError(f"the address at {host!r} holds a user name: it is refused")
    if not policy.allows(host):
        raise PictureError(
            f"host {host!r} is not allowed: download the picture and give its path, or add the "
            "host to UrlPolicy(hosts=...)"
        )
    if port not in (None, _PORTS[scheme]):
        raise PictureError(f"port {port} of {host!r} is not allowed: {_PORTS[scheme]} is")
    return parts, host


def _get(parts: SplitResult, host: str, deadline: float, max_bytes: int) -> bytes | str:
    """Makes one request; returns the body, or where it redirects to."""
    tls = parts.scheme.lower() == "https"
    family, address = _public_address(host, _PORTS["https" if tls else "http"], deadline)
    connection = _PinnedConnection(host, family, address, tls=tls, timeout_s=_left(deadline))
    # A peer that sends a byte now and then passes every socket timeout: this ends it for good.
    watchdog = threading.Timer(_left(deadline), connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        with closing(connection):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers=_HEADERS)
            with closing(connection.getresponse()) as response:
                answer = _read(response, host, max_bytes)
        _left(deadline)  # what ends when the watchdog bites may look complete, and is not
        return answer
    except (OSError, ValueError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline:
            raise TimeoutError from error
        if isinstance(error, ValueError):
            raise PictureError(f"the answer of {host!r} cannot be understood") from error
        raise
    finally:
        watchdog.cancel()


_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "safecode-guardrail"}


def _read(response: http.client.HTTPResponse, host: str, max_bytes: int) -> bytes | str:
    if response.status in _REDIRECTS:
        if location := response.headers.get("Location"):
            return location
        raise PictureError(f"{host!r} redirects to nowhere: check the address")
    if response.status != 200:
        raise PictureError(f"{host!r} answered {response.status}, expected 200: check the address")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise PictureError(f"{host!r} sent compressed data, which is refused")
    too_large = f"the picture at {host!r} is larger than {max_bytes / 2**20:g} MiB: scale it down"
    if (response.length or 0) > max_bytes:
        raise PictureError(too_large)
    body = bytearray()
    while block := response.read(_BLOCK):
        body += block
        if len(body) > max_bytes:
            raise PictureError(too_large)
    if response.length:
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to an address that was checked; TLS is still for the host's name."""

    def __init__(
        self, host: str, family: socket.AddressFamily, address: str, *, tls: bool, timeout_s: float
    ) -> None:
        super().__init__(host, _PORTS["https" if tls else "http"], timeout=timeout_s)
        self._family, self._address = family, address
        self._context = ssl.create_default_context() if tls else None

    def connect(self) -> None:
        plain = socket.socket(self._family, socket.SOCK_STREAM)
        self.sock = plain  # so that `abort` reaches it while it connects
        plain.settimeout(self.timeout)
        plain.connect((self._address, self.port))
        if self._context is not None:
            self.sock = self._context.wrap_socket(plain, server_hostname=self.host)

    def abort(self) -> None:
        """Ends whatever is going on, from another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _public_address(host: str, port: int, deadline: float) -> _Address:
    """Resolves a name once. INVARIANT: one address that is not public refuses the whole name."""
    found = _within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    addresses = [(family, str(where[0])) for family, _, _, _, where in found]
    for _, address in addresses:
        if not _is_public(address):
            raise PictureError(f"{host!r} leads to an address that is not public: it is refused")
    if not addresses:
        raise OSError(f"no address for {host!r}")
    return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _within(deadline: float, work: Callable[[], _Result]) -> _Result:
    """Runs what has no time-out of its own; gives up on it, not waits, at the deadline."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
