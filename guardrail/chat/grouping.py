"""A chat model's `batch` and `abatch` as batches on the model; runs and errors stay per item."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor, get_config_list
from opentelemetry.context import Context
from pydantic import Field, PrivateAttr

from guardrail.chat.batching import BatchGroup, Seat
from guardrail.chat.streaming import in_background, time_limit
from guardrail.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.terms import Mode
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings


@dataclass(frozen=True)
class Request:
    """One call, ready for the engine."""

    conversation: Conversation
    settings: GenerationSettings
    policy: Policy
    mode: Mode | None
    context: Context
    review: Review | None = None


_Seat = Seat[Request, Any]
_SEAT: contextvars.ContextVar[tuple[object, _Seat] | None] = contextvars.ContextVar(
    "guardrail_batch_seat", default=None
)


def _alike(first: Request, second: Request) -> bool:
    return (
        first.settings == second.settings
        and first.mode == second.mode
        and first.policy.digest == second.policy.digest
        and first.review == second.review
    )


class BatchingChatModel(BaseChatModel):
    """A chat model whose batches run together on its engine, where their settings agree.

    Each item is still a call of its own, with its own run, callbacks, cache look-up and exception.

    Attributes:
        max_batch_size: Most requests that go through the model at once; `max_concurrency` of the
            config may lower it.
        timeout: Seconds that an answer (of a batch: all of them) may take; then `TimeoutError`.
    """

    engine: Any = None
    max_batch_size: int = Field(8, ge=1)
    timeout: float | None = Field(None, gt=0)
    _identity: object = PrivateAttr(default_factory=object)  # a copy for one call keeps it

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answers several inputs, together on the model.

        Args:
            inputs: What `invoke` takes, any number.
            config: One for all, or one per input.
            return_exceptions: Puts a failed item's exception in its place instead of raising it.
            **kwargs: As for `invoke`.
        """
        configs = get_config_list(config, len(inputs))
        outputs: list[Any] = []
        for part in self._parts(configs):
            group = self._group(len(part), threading.Event())

            def answer(index: int, seat: _Seat) -> Any:
                with self._seated(seat):
                    try:
                        return self.invoke(inputs[index], configs[index], **kwargs)
                    except Exception as error:
                        if return_exceptions:
                            return error
                        raise

            with ContextThreadPoolExecutor(max_workers=len(part)) as executor:
                outputs.extend(executor.map(answer, part, group.seats))
        return outputs

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answers several inputs, together on the model, without blocking the event loop.

        Args:
            inputs: What `ainvoke` takes, any number.
            config: One for all, or one per input.
            return_exceptions: Puts a failed item's exception in its place instead of raising it.
            **kwargs: As for `ainvoke`.
        """
        configs = get_config_list(config, len(inputs))
        outputs: list[Any] = []
        for part in self._parts(configs):
            cancel = threading.Event()
            group = self._group(len(part), cancel)

            async def answer(index: int, seat: _Seat) -> Any:
                with self._seated(seat, flush_in=in_background):
                    try:
                        return await self.ainvoke(inputs[index], configs[index], **kwargs)
                    except Exception as error:
                        if return_exceptions:
                            return error
                        raise

            calls = (answer(index, seat) for index, seat in zip(part, group.seats, strict=True))
            try:
                outputs.extend(await asyncio.gather(*calls))
            except asyncio.CancelledError:
                cancel.set()
                raise
        return outputs

    def _parts(self, configs: Sequence[RunnableConfig]) -> Iterator[range]:
        size = self.max_batch_size
        if configs and (limit := configs[0].get("max_concurrency")):
            size = min(size, max(1, limit))
        for start in count(0, size):
            if start >= len(configs):
                return
            yield range(start, min(start + size, len(configs)))

    def _group(self, size: int, cancel: threading.Event) -> BatchGroup[Request, Any]:
        def run(requests: Sequence[Request]) -> Sequence[Any]:
            first = requests[0]
            with time_limit(self.timeout, cancel) as expired:
                answers = self.engine.batch(
                    [request.conversation for request in requests],
                    first.settings,
                    policy=first.policy,
                    mode=first.mode,
                    cancel=cancel,
                    return_exceptions=True,
                    contexts=[request.context for request in requests],
                    review=first.review,
                )
            return [self._in_time(answer, expired) for answer in answers]

        return BatchGroup(size, run, _alike)

    def _in_time(self, answer: Any, expired: threading.Event) -> Any:
        """Returns an answer, or the error that stands for one that was cut short by the limit."""
        if isinstance(answer, Exception) or not expired.is_set():
            return answer
        if answer.decision.outcome.finish_reason != "cancelled":
            return answer
        return TimeoutError(f"no complete answer within {self.timeout:g} s")

    @contextmanager
    def _seated(self, seat: _Seat, **leaving: Any) -> Iterator[None]:
        token = _SEAT.set((self._identity, seat))
        try:
            yield
        finally:
            _SEAT.reset(token)
            seat.leave(**leaving)

    def _seat(self) -> _Seat | None:
        """The seat that this call holds in a running batch of this very model, if any."""
        held = _SEAT.get()
        return held[1] if held and held[0] is self._identity and not held[1].settled else None

    def _ask_together(self, request: Request) -> Future[Any] | None:
        seat = self._seat()
        return seat.ask(request) if seat else None

    async def _aask_together(self, request: Request) -> Any:
        """Like `_ask_together` for a call that holds a seat, without blocking the event loop."""
        seat = self._seat()
        assert seat is not None
        return await asyncio.wrap_future(seat.ask(request, flush_in=in_background))
