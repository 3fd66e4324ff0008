"""One request as operators see it: when, by which route, by whom, and how it ended; none of its
words, and no path as it was asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrail.serving.traffic import Traffic, known_method

CLIENT_CLOSED = 499
"""The status of what nobody reads any more."""

_LOG = logging.getLogger(__name__)


@dataclass
class Visit:
    """What becomes known of a request.

    Attributes:
        method: Of HTTP.
        tenant: Who asks; None while nobody knows.
        decision: What was decided, as plain JSON; None where nothing was.
        status: Of its answer; None while there is none.
        headers: What its answer says beside.
        code: By which the client was told of what failed, if anything did.
    """

    method: str
    tenant: str | None = None
    decision: Mapping[str, Any] | None = None
    status: int | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def failed(self) -> str | None:
        """The code of what failed it where that was no fault of the client's."""
        broken = self.status is not None and (self.status >= 500 or self.status < 400)
        return self.code if broken else None

    def plain(self, route: str | None, duration_s: float) -> dict[str, Any]:
        """Returns it as the log has it."""
        decided = self.decision or {}
        known = {
            "method": self.method,
            "route": route,
            "status": self.status,
            "duration_ms": round(duration_s * 1000, 1),
            "code": self.code,
            "tenant": self.tenant,
            "action": decided.get("action"),
            "request_id": decided.get("request_id"),
            "trace_id": decided.get("trace_id"),
        }
        return {name: value for name, value in known.items() if value is not None}


def visit_of(connection: HTTPConnection) -> Visit:
    """Returns what is known of a request."""
    return cast(Visit, connection.state.visit)


def note_failure(scope: Scope, code: str) -> None:
    """Notes by which code a client is told of a failure; nothing where nobody keeps visits."""
    visit = scope.get("state", {}).get("visit")
    if visit is not None:
        visit.code = code


class Visits:
    """Counts, times and logs what comes in, whatever becomes of it.

    Args:
        app: What answers.
        traffic: Takes the counts.
    """

    def __init__(self, app: ASGIApp, *, traffic: Traffic) -> None:
        self._app, self._traffic = app, traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = Visit(known_method(scope["method"]))
        scope.setdefault("state", {})["visit"] = visit

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                MutableHeaders(scope=message).update(visit.headers)
            await send(message)

        scheme = scope.get("scheme", "http")
        with self._traffic.active(visit.method, scheme):
            try:
                await self._app(scope, receive, noted)
            except Exception:
                visit.status, visit.code = visit.status or 500, visit.code or "internal_error"
                raise
            finally:
                if visit.status is None:
                    visit.status, visit.code = CLIENT_CLOSED, "client_closed"
                self._ended(visit, scheme, getattr(scope.get("route"), "path", None))

    def _ended(self, visit: Visit, scheme: str, route: str | None) -> None:
        took = time.perf_counter() - visit.started
        status = visit.status or CLIENT_CLOSED
        self._traffic.answered(
            visit.method,
            scheme,
            route=route,
            status=status,
            error=visit.failed,
            duration_s=took,
        )
        line = "%s %s %d in %.0f ms"
        shown = (visit.method, route or "(no such path)", status, took * 1000)
        _LOG.info(line, *shown, extra={"request": visit.plain(route, took)})
