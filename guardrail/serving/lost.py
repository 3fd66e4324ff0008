"""What a client is told when the replica that answers it dies: clearly, and that it may try again.

It stands in Ray Serve's own proxy, which would say 500 or nothing. Imports no more than that needs.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrail.serving.failures import COME_AGAIN_S, Failure
from guardrail.serving.written import event_line

PROXY_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
"""The environment variable by which Ray Serve is told what stands in its proxy."""

PROXY_CALLBACK = "guardrail.serving.lost:in_proxy"

_LOST = Failure(
    503,
    "the replica that answered was lost; nothing more of it will come: ask again",
    "replica_lost",
    headers={"retry-after": str(COME_AGAIN_S)},
)
_NONE_FREE = Failure(
    503,
    "no replica can take the request now",
    "no_replica",
    headers={"retry-after": str(COME_AGAIN_S)},
)


class LostReplicas:
    """Ends answers that a replica began, or did not, before it died.

    A stream of events ends with an error as its last one, and without `[DONE]`. Any other answer
    that was begun is cut off: nobody can take it for a whole one.

    Args:
        app: Ray Serve's proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Watched(send)
        await self._app(scope, receive, answer.send)
        if answer.refused:
            await _told(_NONE_FREE)(scope, receive, send)
        elif not answer.begun:
            await _told(_LOST)(scope, receive, send)
        elif not answer.ended and answer.of_events:
            line = event_line(_LOST.body()).encode()
            await send({"type": "http.response.body", "body": line, "more_body": False})


class _Watched:
    """An answer on its way: how far it came."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self.ended = self.of_events = self.refused = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message.get("headers", ())).get(b"content-type", b"")
            self.of_events = kind.startswith(b"text/event-stream")
            # What Ray says itself when it cannot hand a request on is plain text.
            self.refused = message["status"] == 503 and not kind.startswith(b"application/json")
            self.begun = True
        if self.refused:
            return
        if message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)


def in_proxy() -> list[Middleware]:
    """Returns what stands in the proxy, for `PROXY_VARIABLE`."""
    return [Middleware(LostReplicas)]


def _told(failure: Failure) -> JSONResponse:
    return JSONResponse(failure.body(), failure.status, headers=dict(failure.headers))
