"""What a request passes before anything of it is read as JSON: its host, its origin, its size.

A page in a browser must not ask a server on the same machine, by whatever name it found for it;
and a body has an end, in size and in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrail.serving.failures import Failure
from guardrail.serving.visit import note_failure

LARGEST_BODY = 64 * 2**20
"""Bytes of a request."""

SLOWEST_BODY_S = 30.0
"""Seconds in which a request has to be there."""


class _GoneError(Exception):
    """The client has gone away in the middle of its request."""


class Doorway:
    """Lets requests in, whole.

    Args:
        app: What answers them.
        hosts: By which names the server may be asked; None for any.
        largest: Bytes of a body.
        slowest_s: Seconds in which it has to be there.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        largest: int = LARGEST_BODY,
        slowest_s: float = SLOWEST_BODY_S,
    ) -> None:
        self._app, self._hosts = app, hosts
        self._largest, self._slowest_s = largest, slowest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
            body = await self._body(receive)
        except _GoneError:
            return
        except Failure as failure:
            note_failure(scope, failure.code)
            headers = {**failure.headers, "connection": "close"}
            answer = JSONResponse(failure.body(), failure.status, headers=headers)
            await answer(scope, receive, send)
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, whole, send)

    def _check(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if self._hosts is not None and _parts(f"//{host}").hostname not in self._hosts:
            raise Failure(403, f"the server is not asked as {host!r}", "host")
        origin = ", ".join(headers.getlist("origin")) if "origin" in headers else None
        if origin is not None and (not host or _parts(origin).netloc != host):
            raise Failure(403, f"pages of {origin!r} may not ask", "origin")
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise Failure(400, "the request has two lengths", "length")
        if not (length.isascii() and length.isdigit()):
            raise Failure(400, f"a content-length of {length!r} is none", "length")
        if int(length) > self._largest:
            raise self._too_large

    async def _body(self, receive: Receive) -> bytes:
        found = bytearray()
        try:
            async with asyncio.timeout(self._slowest_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    found += message.get("body", b"")
                    if len(found) > self._largest:
                        raise self._too_large
                    if not message.get("more_body", False):
                        return bytes(found)
        except TimeoutError:
            raise Failure(408, "the request took too long to come", "slow_body") from None

    @property
    def _too_large(self) -> Failure:
        return Failure(413, f"the request is over {self._largest:,} bytes", "too_large")


class LocalPeers:
    """Lets in what comes from this machine alone: for a server that others bind to an address.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "lifespan" and not is_local(scope.get("client")):
            failure = Failure(403, "without keys, this machine alone is answered", "host")
            await JSONResponse(failure.body(), failure.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_local(client: Sequence[Any] | None) -> bool:
    """Whether what asks, an address and a port, is on this machine."""
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _parts(address: str) -> SplitResult:
    """Returns an address's parts, empty ones where it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
