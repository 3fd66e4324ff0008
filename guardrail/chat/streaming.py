"""A blocking iterator, driven by a thread of its own and read by an event loop.

It knows nothing of models: it moves items, and makes sure that a reader who goes away, or a limit
that passes, stops the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


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

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="guardrail-stream").start()
    try:
        while not isinstance(item := await queue.get(), _Done):
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        cancel.set()
