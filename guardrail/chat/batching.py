"""One forward for requests that arrive together, though each is made by a call of its own.

LangChain runs `batch` as separate calls, which keeps callbacks, caches and errors apart per item.
Each call takes a seat here; when every seat has either asked or left, all that asked run as one.
It knows nothing of messages or models: a request is whatever `run` and `alike` understand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")
Elsewhere = Callable[[Callable[[], None]], object]


class BatchGroup(Generic[Request, Result]):
    """Collects the requests of one `batch` call.

    Args:
        size: How many seats there are; every one must ask or leave, or the others wait for ever.
        run: Answers a list of requests that are alike, in order; an exception stands in the place
            of a request that failed alone.
        alike: Whether two requests may run together.
    """

    def __init__(
        self,
        size: int,
        run: Callable[[Sequence[Request]], Sequence[Result | Exception]],
        alike: Callable[[Request, Request], bool],
    ) -> None:
        self._run, self._alike = run, alike
        self._lock = threading.Lock()
        self._open = size
        self._waiting: list[tuple[Request, Future[Result]]] = []
        self.seats = [Seat(self) for _ in range(size)]

    def _settle(self, asked: tuple[Request, Future[Result]] | None) -> bool:
        """Counts one seat as settled; returns whether it was the last."""
        with self._lock:
            if asked is not None:
                self._waiting.append(asked)
            self._open -= 1
            return self._open == 0 and bool(self._waiting)

    def _flush(self) -> None:
        pending = [one for one in self._waiting if one[1].set_running_or_notify_cancel()]
        while pending:
            first = pending[0][0]
            together = [one for one in pending if self._alike(first, one[0])]
            pending = [one for one in pending if not self._alike(first, one[0])]
            self._answer(together)

    def _answer(self, together: list[tuple[Request, Future[Result]]]) -> None:
        try:
            results = self._run([request for request, _ in together])
        except BaseException as error:
            if len(together) == 1 or not isinstance(error, Exception):
                for _, future in together:
                    future.set_exception(error)
                return
            # One request's failure is not its neighbours': each is answered, or fails, alone.
            for one in together:
                self._answer([one])
            return
        for (_, future), result in zip(together, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


@dataclass(eq=False)
class Seat(Generic[Request, Result]):
    """One call's place in a group. It may ask once; after that the call goes its own way."""

    group: BatchGroup[Request, Result]
    settled: bool = field(default=False, init=False)

    def ask(
        self, request: Request, *, flush_in: Callable[[Callable[[], None]], object] | None = None
    ) -> Future[Result]:
        """Hands in a request and returns its future result.

        Args:
            request: What to answer.
            flush_in: Starts the work elsewhere if this was the last seat (an executor's `submit`);
                without it the work is done before this returns.
        """
        future: Future[Result] = Future()
        self.settled = True
        if self.group._settle((request, future)):
            (flush_in or _now)(self.group._flush)
        return future

    def leave(self, *, flush_in: Elsewhere | None = None) -> None:
        """Gives the seat up, if it is still held; the others no longer wait for it."""
        if not self.settled:
            self.settled = True
            if self.group._settle(None):
                (flush_in or _now)(self.group._flush)


def _now(work: Callable[[], None]) -> None:
    work()
