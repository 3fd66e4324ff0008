"""How long a judge is waited for, and when it is not asked any more.

A judge runs in a thread of its own, which cannot be stopped: one that hangs leaves it behind. Only
so many may be left. A judge that timed out several times in a row is left alone for a while, and
then tried with one request (a circuit breaker). Whoever is not asked gave no verdict: that is
*unavailable* at once, and never *safe*.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from guardrail.errors import JudgeError

Answer = TypeVar("Answer")

MOST_LEFT = 8
"""Threads of one judge that may run past their time."""

FAILURES = 3
"""Time-outs in a row after which a judge is left alone."""

REST_S = 5.0
"""Seconds for which it is left alone at first; twice as long each time, up to `LONGEST_REST_S`."""

LONGEST_REST_S = 60.0


@dataclass
class _Call(Generic[Answer]):
    """One call of the judge, and whether anybody still waits for it."""

    answers: queue.Queue[Answer | BaseException]
    late: bool = False


class Patience(Generic[Answer]):
    """Waits for one judge. Safe to use from several threads.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = 0
        self._failures = 0
        self._rest_s = REST_S
        self._asked_again_at: float | None = None

    def ask(self, judge: Callable[[], Answer], *, timeout_s: float, name: str) -> Answer:
        """Returns what `judge` does.

        Args:
            judge: Called in a new thread, under a copy of the caller's context.
            timeout_s: Seconds to wait; what comes later is thrown away.
            name: Of the judge, for the thread.

        Raises:
            JudgeError: It took too long, or is not asked, and why.
            Exception: What the judge raised.
        """
        self._admit()
        call: _Call[Answer] = _Call(queue.Queue(1))
        context = contextvars.copy_context()  # a judge's own spans belong under this request's
        threading.Thread(
            target=context.run,
            args=(self._run, judge, call),
            name=f"guardrail-judge-{name}",
            daemon=True,
        ).start()
        try:
            answer = call.answers.get(timeout=timeout_s)
        except queue.Empty:
            with self._lock:
                late = call.answers.empty()  # it may have come just now
                call.late = late
                if late:
                    self._left += 1
                    self._note_failure()
            raise JudgeError(f"the judge took longer than {timeout_s:g} s") from None
        with self._lock:
            self._failures, self._rest_s, self._asked_again_at = 0, REST_S, None
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, BaseException):  # a judge's exit is not this thread's
            raise JudgeError(f"the judge failed: {type(answer).__name__}") from answer
        return answer

    def _run(self, judge: Callable[[], Answer], call: _Call[Answer]) -> None:
        answer: Answer | BaseException
        try:
            answer = judge()
        except BaseException as error:  # reported to the waiting thread, whatever it is
            answer = error
        with self._lock:
            call.answers.put(answer)
            if call.late:
                self._left -= 1

    def _admit(self) -> None:
        """Raises if the judge is not to be asked now; lets one request try it after a rest."""
        with self._lock:
            if self._left >= MOST_LEFT:
                raise JudgeError(
                    f"{self._left} calls of the judge are still running past their time: it is not "
                    "asked again before one of them ends"
                )
            if self._asked_again_at is None:
                return
            wait_s = self._asked_again_at - self._clock()
            if wait_s > 0:
                raise JudgeError(
                    f"the judge took too long {self._failures} times in a row: it is asked again "
                    f"in {wait_s:.0f} s"
                )
            self._asked_again_at = self._clock() + self._rest_s  # others wait for this one's trial

    def _note_failure(self) -> None:
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._failures > FAILURES:
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
        self._asked_again_at = self._clock() + self._rest_s
