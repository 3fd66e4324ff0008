"""What a request to the page must look like before anything is made of it.

It reads a head from a socket within a time and a size, and knows nothing of pages.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import parse_qs

LONGEST_HEAD = 16 * 1024
"""Bytes of a request line and its headers together."""
LONGEST_TARGET = 2000
MOST_HEADERS = 100
MOST_FIELDS = 100
_PART = 4096
_MOST_DRAINED = 256 * 1024
_ENDS = (b"\r\n\r\n", b"\n\n")
_HTTP_PORT = 80


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: What the client is told, as HTTP numbers it.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def read_head(connection: socket.socket, *, within_s: float) -> bytes:
    """Returns a request's head with the blank line that ends it; empty if the client said nothing.

    What comes after it (a body, another request) is not kept.

    Args:
        connection: The client's; its time-out is changed.
        within_s: How long all of it may take, however it is fed, in seconds.

    Raises:
        Refused: It is late, too long, cut off, or no HTTP/1.
        OSError: The connection broke.
    """
    deadline = time.monotonic() + within_s
    held = b""
    while True:
        ends = [at + len(end) for end in _ENDS if (at := held.find(end)) >= 0]
        if ends:
            return _checked_head(held[: min(ends)])
        if len(held) > LONGEST_HEAD:
            raise Refused(431, f"the request's head is longer than {LONGEST_HEAD} bytes")
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            part = connection.recv(_PART)
        except TimeoutError:
            if not held:
                return b""
            raise Refused(408, f"the request took longer than {within_s:g} s to come") from None
        if not part:
            if not held:
                return b""
            raise Refused(400, "the request ended before its head did")
        held += part


def _checked_head(head: bytes) -> bytes:
    line, *fields = head.rstrip(b"\r\n").split(b"\n")
    words = line.split()
    if len(words) != 3 or words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise Refused(400, "the request line is not one of HTTP/1")
    if len(words[1]) > LONGEST_TARGET:
        raise Refused(414, f"the address is longer than {LONGEST_TARGET} bytes")
    if len(fields) > MOST_HEADERS:
        raise Refused(431, f"there are more than {MOST_HEADERS} headers")
    return head


def checked_target(line: str) -> tuple[str, str]:
    """Returns the path and the query that a request line asks for, as they are written.

    Nothing is decoded: a page's path is compared as a whole, and no file is looked up by it.

    Raises:
        Refused: It asks for another place, or holds what no address holds.
    """
    target = line.split()[1]
    if not target.startswith("/") or target.startswith("//"):
        raise Refused(400, "the address must begin with one '/'")
    if not all("!" <= character <= "~" for character in target):
        raise Refused(400, "the address holds characters that must be encoded")
    path, _, query = target.partition("#")[0].partition("?")
    return path, query


def fields_of(query: str) -> dict[str, str]:
    """Returns a query's values by name; of several, the last.

    Raises:
        Refused: There are too many.
    """
    try:
        fields = parse_qs(query, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused(400, f"the address asks for more than {MOST_FIELDS} things") from error
    return {name: given[-1] for name, given in fields.items()}


def names_us(hosts: Sequence[str], port: int) -> bool:
    """Whether a request's `Host` headers, of which there must be one, name this server.

    A page of another site that has its name point to this machine is told by this.
    """
    names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    if port == _HTTP_PORT:
        names |= {"127.0.0.1", "localhost", "[::1]"}
    return len(hosts) == 1 and hosts[0].strip().lower() in names


def drain(connection: socket.socket) -> None:
    """Says that no more is sent and throws away what has come already, so that closing does not
    take the answer back from the client. It does not wait.
    """
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        for _ in range(_MOST_DRAINED // _PART):
            if not connection.recv(_PART):
                break
