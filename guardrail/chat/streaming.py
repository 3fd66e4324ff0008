"""Blocking work in threads of its own, for an event loop that must not wait.

It knows nothing of models: it moves items, and makes sure that a reader who goes away, or a limit
that passes, stops the work. No thread keeps the process alive, as those of the event loop's own
executor would: when the interpreter ends, all work is told to stop, given a moment for it, and then
stopped between two operations of the model.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import ctypes
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
"""How long the end of the interpreter waits for work to stop, told so and then made to."""

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
    """Ends what still runs.

    INVARIANT: no thread comes back from a model's code after the interpreter is gone: Python would
    tear it down within C++, which aborts the process.
    """
    for cancel in list(_CANCELS):
        cancel.set()
    for thread in _still_running():
        # What a generator that is closed sees: the request ends as a cancelled one.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(GeneratorExit)
        )
    if _still_running():
        _hang_instead_of_aborting()


def _hang_instead_of_aborting() -> None:
    """Lets a thread that C++ would abort the process for wait for its end, as from Python 3.14 on.

    Where C++'s library is not to be found, the process ends as it always did.
    """
    with contextlib.suppress(OSError, AttributeError):
        libraries = ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL(None)
        set_terminate, pause = libraries[0]._ZSt13set_terminatePFvvE, libraries[1].pause
        set_terminate.argtypes = [ctypes.c_void_p]
        set_terminate.restype = ctypes.c_void_p
        set_terminate(ctypes.cast(pause, ctypes.c_void_p))


def _still_running() -> list[threading.Thread]:
    """Returns the threads that have not ended within the time of grace."""
    deadline = time.monotonic() + GRACE_S
    threads = list(_THREADS)
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]


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
