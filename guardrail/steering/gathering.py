"""Requests that come while others are being started: they wait, and are then started together.

Starting is what costs most: pictures, prompts, questions. While one run of requests is at it, those
that come wait at the door; then all of them that are alike start as one. From their first token on,
a run goes on beside those that were started before, and the door is open again.

Whoever waits for something of a run drives it, on behalf of all its requests: there are no threads
but those that ask.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import TypeAlias

from guardrail.backends import Backend
from guardrail.errors import GuardrailError
from guardrail.judging.draft import Draft
from guardrail.record.answer import Answer
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.pipeline import Pipeline

_LOOK_UP_S = 0.05
"""How often one that waits at the door looks whether it is still wanted."""

_GRACE = 0.1
"""How long a request waits for those of the last run, as a part of what starting that took."""

_DRIVING = threading.local()
"""Whether this thread drives a run at the moment."""

Coming: TypeAlias = Delta | Answer | Exception
"""What comes of a request: any number of deltas, then its answer or why there is none."""


class Asked:
    """A request on its way through the door.

    Args:
        pipeline: Runs it.
        draft: Its record, which has begun.
        settings: How it is decoded.
        cancel: Once set, nobody wants it any more.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        draft: Draft,
        settings: GenerationSettings,
        cancel: threading.Event | None,
    ) -> None:
        self.pipeline, self.draft, self.settings = pipeline, draft, settings
        self._cancel = cancel
        self.left = False
        self.events: deque[Coming] = deque()
        self.run: _Together | None = None

    def stops(self) -> bool:
        """Whether nobody wants it any more."""
        return self.left or (self._cancel is not None and self._cancel.is_set())

    def is_like(self, other: Asked) -> bool:
        """Whether both may be started as one."""
        mine, theirs = self.pipeline.deciding, other.pipeline.deciding
        return (
            mine.policy.digest == theirs.policy.digest
            and mine.mode == theirs.mode
            and self.settings == other.settings
        )


class Gathering:
    """The door of one model. Safe to use from several threads.

    Args:
        backend: Runs the model.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._door = threading.Condition()
        self._line: list[Asked] = []
        self._starting = False
        self._last, self._grace_s = 1, 0.0

    def events(self, one: Asked) -> Generator[Coming, None, None]:
        """Yields what comes of a request; close it to give the request up.

        Args:
            one: A request that has not been here before.

        Raises:
            GuardrailError: The run that it was in could not be served.
        """
        try:
            run = self._run_of(one) if self._waits(one) else _Together([one])
        except BaseException as error:
            if one.run is None:  # nobody else ends its record
                if not isinstance(error, Exception):
                    one.draft.stop("cancelled")
                one.draft.end(error if isinstance(error, Exception) else None)
            raise
        try:
            yield from run.events(one)
        finally:
            run.leave(one)

    def _waits(self, one: Asked) -> bool:
        """Whether a request is best started with others.

        Not where somebody else judges, who is asked about one after another; where it is asked on
        the way of one that is being started, for which it would wait; where its form may come to an
        end that is none; and where a length counts the padding that others cause.
        """
        deciding, settings = one.pipeline.deciding, one.settings
        return (
            self._backend.at_once > 1
            and not getattr(_DRIVING, "now", False)
            and (deciding.mode == "off" or deciding.chair.reads_itself)
            and not one.draft.conversation.form.constrains
            and not {"max_length", "min_length"} & {*settings.extra}
        )

    def _run_of(self, one: Asked) -> _Together:
        """Waits at the door; returns the run that the request is in, started or about to be."""
        ours = False
        with self._door:
            self._line.append(one)
            try:
                while not self._door.wait_for(
                    lambda: one.run is not None or not self._starting, timeout=_LOOK_UP_S
                ):
                    if one.stops():
                        return _Together([one])
                if one.run is None:
                    self._starting = ours = True
                    self._await_the_others()
                    self._gather(one)
                assert one.run is not None
                return one.run
            except BaseException:
                if ours and one.run is None:
                    self._starting = False
                raise
            finally:
                if one in self._line:
                    self._line.remove(one)

    def _await_the_others(self) -> None:
        """Gives those that were in the last run a moment to come back with their next request."""
        if len(self._line) < self._last:
            self._door.wait_for(lambda: len(self._line) >= self._last, timeout=self._grace_s)

    def _gather(self, first: Asked) -> None:
        """Has those that are alike leave the line for one run."""
        alike = [first, *(each for each in self._line if each is not first and first.is_like(each))]
        if len(alike) > 1:
            groups = self._backend.groups([each.draft.conversation for each in alike])
            [group] = [each for each in groups if 0 in each]
            alike = [alike[at] for at in group]
        members = alike[: self._backend.at_once]
        run = _Together(members, self)
        for each in members:
            each.run = run
            self._line.remove(each)
        self._door.notify_all()

    def open(self, count: int, took_s: float) -> None:
        """A run has been started.

        Args:
            count: Of how many requests.
            took_s: Seconds.
        """
        with self._door:
            self._starting = False
            self._last, self._grace_s = count, _GRACE * took_s
            self._door.notify_all()


class _Together:
    """Requests that run together, driven by whichever of them waits.

    Args:
        members: Alike.
        door: Is opened once something comes of them.
    """

    def __init__(self, members: Sequence[Asked], door: Gathering | None = None) -> None:
        self._members, self._door = members, door
        first = members[0]
        self._events = first.pipeline.run(
            [each.draft for each in members], first.settings, [each.stops for each in members]
        )
        self._turn = threading.Condition()
        self._driven = self._over = False
        self._error: Exception | None = None
        self._began = time.perf_counter()

    def events(self, one: Asked) -> Generator[Coming, None, None]:
        """Yields what comes of one of them."""
        while self._has_more(one):
            if not one.events:
                self._drive()
            while one.events:
                event = one.events.popleft()
                yield event
                if not isinstance(event, Delta):
                    return
        if self._error is not None:
            raise self._error

    def _has_more(self, one: Asked) -> bool:
        """Waits until something has come of a request, or it is this thread's turn to drive."""
        with self._turn:
            self._turn.wait_for(lambda: one.events or self._over or not self._driven)
            if not one.events and not self._over:
                self._driven = True
            return bool(one.events) or not self._over

    def leave(self, one: Asked) -> None:
        """One of them goes; with the last, the run ends."""
        with self._turn:
            one.left = True
            if self._driven or self._over or not all(each.left for each in self._members):
                return
            self._driven = True
        try:
            self._events.close()
        finally:
            self._end(None)

    def _drive(self) -> None:
        """Has the run go on until something comes of one of them."""
        before, _DRIVING.now = getattr(_DRIVING, "now", False), True
        try:
            at, event = next(self._events)
        except StopIteration:
            self._end(None)
        except Exception as error:
            self._end(error)
        except BaseException:
            self._end(GuardrailError("the run was stopped"))
            raise
        else:
            with self._turn:
                self._members[at].events.append(event)
                self._driven = False
                self._turn.notify_all()
            self._open_door()
        finally:
            _DRIVING.now = before

    def _end(self, error: Exception | None) -> None:
        with self._turn:
            self._error, self._over, self._driven = error, True, False
            self._turn.notify_all()
        self._open_door()

    def _open_door(self) -> None:
        if self._door is not None:
            door, self._door = self._door, None
            door.open(len(self._members), time.perf_counter() - self._began)
