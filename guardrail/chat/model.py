"""`ChatSafeCoDe`: the guarded engine as a LangChain chat model.

`_generate` and `_stream` take what the engine yields, so there is one path; `batch` goes to the
model as a batch. It hands decoding and policies on to `guardrail.steering.safecode` and knows
nothing of either.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from guardrail.chat.answer import AnswerChunks, answer_message
from guardrail.chat.counting import CountingChatModel
from guardrail.chat.deciding import DecidingChatModel
from guardrail.chat.fallbacks import CautiousRunnable
from guardrail.chat.grouping import Request
from guardrail.chat.identity import EMBEDDED
from guardrail.chat.sessions import SessionChatModel
from guardrail.chat.streaming import in_background, in_thread, stream_in_thread, time_limit
from guardrail.record.answer import Answer
from guardrail.request.delta import Delta

__all__ = ["EMBEDDED", "ChatSafeCoDe"]


class ChatSafeCoDe(CautiousRunnable, DecidingChatModel, CountingChatModel, SessionChatModel):
    """A local multimodal model, guarded by a policy, wherever LangChain takes a chat model.

    `ChatSafeCoDe()` is the embedded model under the `baseline` policy. `response_metadata` of every
    answer holds the decision under `guardrail` (when streaming: of the last chunk only).

    Attributes:
        model: A name or path, `"embedded"`, or a loaded model (then `processor` is needed too).
        base_url: Of an OpenAI-compatible server, up to and with `/v1`: then the model is the one
            that the server knows as `model`, or its only one.
        api_key: The server's; means nothing without one.
        processor: The processor of a loaded model.
        policy: A policy's name, its path (read again when the file changes), or a `Policy`;
            `baseline` without one. A selection of policies chooses by the run's metadata
            (`config={"metadata": {"tenant": ...}}`).
        judge: A callable judge, for policies of `judge: {kind: callable}`.
        engine: A `SafeCoDe` to share; several chat models with different policies may.
        load_kwargs: Passed to `from_pretrained` of the model (`dtype`, `device_map`, ...).
        mode: `enforce`, `shadow` or `off`, instead of the policy's own.
        temperature: 0 is greedy, above 0 samples. None leaves it, like all below, to the model.
        max_tokens: Most tokens to generate; `max_new_tokens` is accepted too.
        stop: Strings that end the answer, not part of it.
        logprobs: Whether `response_metadata["logprobs"]["content"]` tells the log-probability of
            each token of the text, as `ChatOpenAI` does: what it was chosen by, steered where it
            was steered, before `temperature` and its like. When streaming, of each chunk.
        top_logprobs: How many of the likeliest tokens at its place are told beside it.
        model_kwargs: Any other argument of `generate()`.
        timeout: Seconds that an answer may take; then `TimeoutError`.
        cache (BaseCache | bool | None): True (LangChain's global cache) or a cache; without either,
            no answer is cached.
        picture_limits: Which pictures are accepted.

    Where the policy remembers, a session is the run's `thread_id` or `session_id`
    (`config={"configurable": {"thread_id": ...}}`, or in its metadata), or `session=` of a call.
    `review=` of a call runs again what was escalated: `{"request_id": ..., "approved": True,
    "token": ...}`, with the token of the `Escalation`.

    `with_fallbacks` and `with_retry` handle failures of running the model alone, unless told to
    handle more: what the guard withholds (`guardrail.errors.Withheld`) is nobody else's to answer.

    Assignment and `model_copy(update=...)` count from the next request on; what the model was built
    of cannot be changed. Copies share the engine; one built by name can be pickled.

    LangChain's `max_retries` is accepted, means nothing here, and is not kept.
    """

    def _items(self, request: Request, cancel: threading.Event) -> Iterator[Delta | Answer]:
        """Yields what the engine does, its answer last; raises where it was too late."""
        items = self.engine.stream(
            request.conversation,
            request.settings,
            policy=request.policy,
            mode=request.mode,
            cancel=cancel,
            review=request.review,
        )
        with closing(items), time_limit(self.timeout, cancel) as expired:
            for item in items:
                if not isinstance(item, Delta):
                    item = self._in_time(item, expired)
                    if isinstance(item, Exception):
                        raise item
                yield item

    def _chunks(self, request: Request, cancel: threading.Event) -> Iterator[ChatGenerationChunk]:
        chunks = AnswerChunks(self.engine.model_name)
        for item in self._items(request, cancel):
            chunk = chunks.chunk(item) if isinstance(item, Delta) else chunks.last(item)
            yield ChatGenerationChunk(message=chunk)

    def _collected(self, items: Iterable[Delta | Answer]) -> ChatResult:
        *_, answer = items
        assert isinstance(answer, Answer)
        return self._result(answer)

    def _result(self, answer: Answer) -> ChatResult:
        message = answer_message(answer, self.engine.model_name)
        return ChatResult(generations=[ChatGeneration(message=message)])

    # LangChain hands `_stream` no run, so the policy that its metadata choose is settled here.

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Streams the answer's chunks; the last one carries the decision.

        Args:
            input: Messages, or what LangChain makes messages of.
            config: Its `metadata` chooses in a selection of policies.
            stop: Strings that end the answer.
            **kwargs: Settings of this call.
        """
        metadata = ensure_config(config).get("metadata")
        kwargs["policy"] = self._chosen(kwargs.get("policy"), metadata)
        yield from super().stream(input, config, stop=stop, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Streams the answer's chunks without blocking the event loop; see `stream`.

        Args:
            input: As for `stream`.
            config: As for `stream`.
            stop: As for `stream`.
            **kwargs: As for `stream`.
        """
        metadata = ensure_config(config).get("metadata")
        kwargs["policy"] = await in_thread(self._chosen, kwargs.get("policy"), metadata)
        answer: Any = super().astream(input, config, stop=stop, **kwargs)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if (seat := self._seat()) is not None:
            seat.leave()  # a streamed answer keeps nobody waiting
        yield from self._chunks(
            self._request(messages, stop, kwargs, run_manager), threading.Event()
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs, run_manager)
        if (together := self._ask_together(request)) is not None:
            return self._result(together.result())
        return self._collected(self._items(request, threading.Event()))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if (seat := self._seat()) is not None:
            seat.leave(flush_in=in_background)  # a streamed answer keeps nobody waiting

        def start(cancel: threading.Event) -> Iterator[ChatGenerationChunk]:
            return self._chunks(self._request(messages, stop, kwargs, run_manager), cancel)

        async with aclosing(stream_in_thread(start)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self._seat() is not None:
            request = await in_thread(self._request, messages, stop, kwargs, run_manager)
            return self._result(await self._aask_together(request))

        def start(cancel: threading.Event) -> Iterator[Delta | Answer]:
            return self._items(self._request(messages, stop, kwargs, run_manager), cancel)

        async with aclosing(stream_in_thread(start)) as items:
            return self._collected([item async for item in items])
