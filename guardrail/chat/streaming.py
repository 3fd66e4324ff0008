"""Blocking work in threads of its own, for an event loop that must not wait.

It knows nothing of models: it moves items, and makes sure that a reader who goes away, or a limit
that passes, stops the work. No thread keeps the process alive, as those of the event loop's own
executor would: when the interpreter ends, all work is told to stop, and given a moment for it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE_S = 2.0
"""How long the end of the interpreter waits for work to stop: a thread that comes back from a
model's code when the interpreter is gone may take the process down with it."""

# The process's own: what runs in it at the moment, so that its end can tell it to stop.
_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_CANCELS: weakref.WeakSet[threading.Event] = weakref.WeakSet()


@dataclass(frozen=True)
class _Failed:
    error: BaseException


class _Done:
    pass


@contextmanager
def time_limit(seconds: float | None, cancel: threading.Event) -> Iterator[threading.Event]:
    """Sets `cancel` once `seconds` have passed; yields the event that tells whether it did.

    Args:
        seconds: None sets no limit.
        cancel: What stops the work.
    """
    _CANCELS.add(cancel)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        cancel.set()

    if seconds is None:
        yield expired
        return
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def in_background(work: Callable[[], object]) -> None:
    """Runs `work` in a thread of its own, under a copy of the caller's context."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="guardrail-chat", daemon=True)
    _THREADS.add(thread)
    thread.start()


async def in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Returns what `work` does, without blocking the event loop.

    Whoever stops waiting leaves the work to itself.

    Args:
        work: Runs in a new thread under a copy of the caller's context.
        *arguments: Its arguments.
    """
    future: Future[Result] = Future()
    in_background(partial(_settle, future, partial(work, *arguments)))
    return await asyncio.wrap_future(future)


def _settle(future: Future[Result], work: Callable[[], Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


@atexit.register
def _stop_all() -> None:
    for cancel in list(_CANCELS):
        cancel.set()
    deadline = time.monotonic() + GRACE_S
    for thread in list(_THREADS):
        thread.join(max(0.0, deadline - time.monotonic()))


async def stream_in_thread(
    start: Callable[[threading.Event], Iterator[Item]],
) -> AsyncGenerator[Item, None]:
    """Yields what `start(cancel)` yields, without blocking the event loop.

    Everything, `start` included, runs in one new thread under a copy of the caller's context. When
    the reader stops (the task is cancelled, the generator closed), `cancel` is set and the thread
    ends at the next item; nobody waits for it.

    Args:
        start: Makes the blocking iterator; it is given the event that says "stop".
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Item | _Failed | _Done] = asyncio.Queue()
    cancel = threading.Event()
    _CANCELS.add(cancel)

    def put(item: Item | _Failed | _Done) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads any more
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def work() -> None:
        try:
            items = start(cancel)
            try:
                for item in items:
                    put(item)
                    if cancel.is_set():
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            put(_Failed(error))
        else:
            put(_Done())

    in_background(work)
    try:
        while not isinstance(item := await queue.get(), _Done):
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        cancel.set()
