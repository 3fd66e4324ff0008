"""Real answers beside a running event loop: it is not held up, and leaving stops the model."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import AsyncIterator

import pytest

from guardrail import ChatSafeCoDe, Decision, SafeCoDe
from guardrail.request.conversation import Conversation
from tests.families import build

AIM_S = 0.05
"""For how long the event loop may be blocked. Held to by the median: a loop that answers itself is
blocked for a whole answer at every other beat."""

MARGIN_S = 1.0
"""The longest wait that passes for a busy machine's."""

TOKENS = 192


class Log:
    """An observer that keeps decisions."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.concluded_one = threading.Event()

    def opened(self, decision: Decision, conversation: Conversation) -> None:
        """Nothing of it is kept."""

    def concluded(self, decision: Decision, conversation: Conversation, text: str) -> None:
        self.decisions.append(decision)
        self.concluded_one.set()


def watched() -> tuple[ChatSafeCoDe, Log]:
    model, processor = build("llava")
    log = Log()
    engine = SafeCoDe(model=model, processor=processor, judge=lambda _: 0.02, observer=log)
    return ChatSafeCoDe(engine=engine, temperature=0), log


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Yields the seconds between one beat of the event loop and the next, as they come in."""
    gaps: list[float] = []

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    beating = asyncio.create_task(beat())
    yield gaps
    beating.cancel()


async def test_eight_streams_at_once_do_not_block_the_event_loop() -> None:
    chat, log = watched()

    async def read(number: int) -> int:
        chunks = [c async for c in chat.astream(f"question {number}", max_tokens=TOKENS)]
        return len(chunks)

    async with heartbeat() as gaps:
        counts = await asyncio.gather(*(read(number) for number in range(8)))
    assert min(counts) > 1
    assert [each.outcome.output_tokens for each in log.decisions] == [TOKENS] * 8
    assert statistics.median(gaps) < AIM_S
    assert max(gaps) < MARGIN_S


@pytest.mark.parametrize("way", ["astream", "ainvoke", "abatch"])
async def test_cancelling_the_task_ends_a_real_answer_at_the_next_token(way: str) -> None:
    chat, log = watched()
    opened = threading.Event()
    log.opened = lambda *_: opened.set()  # type: ignore[method-assign]

    async def ask() -> None:
        if way == "astream":
            async for _ in chat.astream("hello", max_tokens=100_000):
                pass
        elif way == "ainvoke":
            await chat.ainvoke("hello", max_tokens=100_000)
        else:
            await chat.abatch(["hello"], max_tokens=100_000)

    task = asyncio.create_task(ask())
    assert await asyncio.to_thread(opened.wait, 60)
    await asyncio.sleep(0.05)  # some tokens in
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(log.concluded_one.wait, 60)
    [decision] = log.decisions
    assert decision.outcome.finish_reason == "cancelled"
    assert decision.outcome.output_tokens < 10_000
