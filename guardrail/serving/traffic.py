"""Counts and times of what goes through the server, through the OpenTelemetry API.

What is decided about requests is counted by the engine (`guardrail.record.telemetry.metrics`). No
name of a tenant, path as it was asked, or word of a request becomes an attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import Meter

from guardrail.record.telemetry.names import ERROR_TYPE, SCHEMA_URL
from guardrail.record.version import __version__

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SECONDS = [
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(25.0, 50.0, 100.0),
]
"""Those of the conventions, and longer ones: answers are written token by token."""

_STATE = "guardrail.request.state"
_WAITING, _ANSWERING = {_STATE: "waiting"}, {_STATE: "answering"}


class Traffic:
    """The instruments of one server, named by OpenTelemetry's conventions where they have a name.

    Args:
        meter: Where they are made; the global provider's by default, also if it is set later.
    """

    def __init__(self, meter: Meter | None = None) -> None:
        made = meter or metrics.get_meter("guardrail.serving", __version__, schema_url=SCHEMA_URL)
        up_down = made.create_up_down_counter
        self._active = up_down(
            "http.server.active_requests", "{request}", "Requests whose answer has not ended"
        )
        self._duration = made.create_histogram(
            "http.server.request.duration",
            "s",
            "From a request's head to the end of its answer",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._requests = up_down(
            "guardrail.server.requests", "{request}", "Requests to the model under way, by state"
        )
        self._limit = up_down(
            "guardrail.server.limit", "{request}", "Requests to the model that may be under way"
        )
        self._turned_away = made.create_counter(
            "guardrail.server.turned_away", "{request}", "Requests to the model refused with 429"
        )
        self._turned_away.add(0)  # so that what has not happened yet is zero, and not unknown
        for state in (_WAITING, _ANSWERING):
            self._requests.add(0, state)

    def limited(self, most: int) -> None:
        """Notes how many requests may be under way."""
        self._limit.add(most)

    def turned_away(self) -> None:
        """Counts a request that was told to come again."""
        self._turned_away.add(1)

    @contextmanager
    def under_way(self) -> Iterator[Callable[[], None]]:
        """A with-block that is a request to the model.

        It waits (for the model, and to be judged) until what the block is given is called: then
        it is being answered.
        """
        state = _WAITING
        self._requests.add(1, state)

        def answering() -> None:
            nonlocal state
            if state is _WAITING:
                self._requests.add(-1, state)
                state = _ANSWERING
                self._requests.add(1, state)

        try:
            yield answering
        finally:
            self._requests.add(-1, state)

    @contextmanager
    def active(self, method: str, scheme: str) -> Iterator[None]:
        """A with-block that is a request of any kind."""
        known = _known(method, scheme)
        self._active.add(1, known)
        try:
            yield
        finally:
            self._active.add(-1, known)

    def answered(
        self,
        method: str,
        scheme: str,
        *,
        route: str | None,
        status: int,
        error: str | None,
        duration_s: float,
    ) -> None:
        """Times a request of any kind.

        Args:
            method: Of HTTP.
            scheme: `http` or `https`.
            route: The template of its path; None where there is none.
            status: Of its answer.
            error: The code of what failed it, where that was no fault of the client's.
            duration_s: From its head to the end of its answer.
        """
        said: dict[str, Any] = {
            **_known(method, scheme),
            "http.response.status_code": status,
            **({"http.route": route} if route is not None else {}),
            **({ERROR_TYPE: error} if error is not None else {}),
        }
        self._duration.record(duration_s, said)


def _known(method: str, scheme: str) -> dict[str, str]:
    return {"http.request.method": known_method(method), "url.scheme": scheme}


def known_method(method: str) -> str:
    """Returns the method, or what the conventions put for one that is none."""
    return method if method in _METHODS else "_OTHER"
