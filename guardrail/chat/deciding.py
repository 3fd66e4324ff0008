"""A chat model that decides about requests and answers which are somebody else's.

What it does to make a request ready is what an answer of its own begins with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from opentelemetry import context as otel_context

from guardrail.chat.caching import CachingChatModel
from guardrail.chat.grouping import Request
from guardrail.chat.messages import to_conversation, with_media_types
from guardrail.chat.sessions import review_of, with_session
from guardrail.chat.streaming import stream_in_thread, time_limit
from guardrail.record.answer import Judgement
from guardrail.request.conversation import Turn

Run = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None


class DecidingChatModel(CachingChatModel):
    """A chat model whose guard may be asked for its decision alone."""

    def _request(
        self,
        messages: list[BaseMessage],
        stop: Any,
        call: dict[str, Any],
        run: Run,
        operation: str = "chat",
    ) -> Request:
        call = dict(call)
        with self.engine.preparing(operation=operation) as known:
            policy = self._policy_for(call.pop("policy", None), run.metadata if run else None)
            known.policy = policy
            mode = call.pop("mode", self.mode)
            review = review_of(call.pop("review", None))
            conversation = self._conversation(messages, call)
            settings = self._settings(call, stop)
        return Request(
            conversation=conversation,
            settings=settings,
            policy=policy,
            mode=mode,
            context=otel_context.get_current(),
            review=review,
        )

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        with self.engine.preparing():
            messages = super()._convert_input(model_input).to_messages()
            return ChatPromptValue(messages=with_media_types(messages))

    def decide(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Judgement:
        """Returns what is decided about messages that somebody else answers; see `Guard.decide`.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            stop: Checked like all settings; nothing is generated that it could end.
            cancel: Once set, the model judges no further.
            **kwargs: As for `invoke`.

        Raises:
            GuardrailError: The request cannot be judged.
            TimeoutError: It took too long.
        """
        request = self._to_decide(input, config, stop, kwargs)
        return self._decided(request, cancel, self.engine.decide)

    async def adecide(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Judgement:
        """Decides without blocking the event loop; see `decide`. A task that is cancelled stops it.

        Args:
            input: As for `decide`.
            config: As for `decide`.
            stop: As for `decide`.
            **kwargs: As for `decide`.
        """

        def start(cancel: threading.Event) -> Iterator[Judgement]:
            yield self.decide(input, config, stop=stop, cancel=cancel, **kwargs)

        async with aclosing(stream_in_thread(start)) as found:
            return await anext(found)

    def decide_answer(
        self,
        input: LanguageModelInput,
        answer: str | AIMessage,
        config: RunnableConfig | None = None,
        *,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Judgement:
        """Returns what is decided about somebody else's answer; see `Guard.decide_answer`.

        Args:
            input: What was answered, as for `invoke`.
            answer: The answer. What it was reasoned with and its tool calls are judged, too.
            config: As for `invoke`.
            cancel: Once set, the model judges no further.
            **kwargs: As for `invoke`.

        Raises:
            GuardrailError: The answer cannot be judged.
            TimeoutError: It took too long.
        """
        request = self._to_decide(input, config, None, kwargs)
        with self.engine.preparing(operation="apply_guardrail") as known:
            known.policy = request.policy
            said = self._turn_of(answer)
        return self._decided(request, cancel, partial(self.engine.decide_answer, answer=said))

    async def adecide_answer(
        self,
        input: LanguageModelInput,
        answer: str | AIMessage,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Judgement:
        """Decides without blocking the event loop; see `decide_answer` and `adecide`.

        Args:
            input: As for `decide_answer`.
            answer: As for `decide_answer`.
            config: As for `decide_answer`.
            **kwargs: As for `decide_answer`.
        """

        def start(cancel: threading.Event) -> Iterator[Judgement]:
            yield self.decide_answer(input, answer, config, cancel=cancel, **kwargs)

        async with aclosing(stream_in_thread(start)) as found:
            return await anext(found)

    def _to_decide(
        self,
        model_input: LanguageModelInput,
        config: RunnableConfig | None,
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
    ) -> Request:
        call = with_session(kwargs, config)
        call["policy"] = self._chosen(call.get("policy"), ensure_config(config).get("metadata"))
        messages = self._convert_input(model_input).to_messages()
        return self._request(messages, stop, call, None, "apply_guardrail")

    def _decided(
        self, request: Request, cancel: threading.Event | None, decide: Callable[..., Judgement]
    ) -> Judgement:
        """Returns what `decide` makes of a request; raises where it was too late."""
        cancel = cancel or threading.Event()
        with time_limit(self.timeout, cancel) as expired:
            judged = decide(
                request.conversation,
                policy=request.policy,
                mode=request.mode,
                review=request.review,
                cancel=cancel,
            )
        found = self._in_time(judged, expired)
        if isinstance(found, Exception):
            raise found
        return judged

    def _turn_of(self, answer: str | AIMessage) -> Turn:
        """Returns an answer as a turn; its thoughts, which no model is shown again, before it."""
        message = AIMessage(answer) if isinstance(answer, str) else answer
        asked = HumanMessage("?")  # an answer alone, which may say nothing, is no conversation
        *_, turn = to_conversation([asked, message], limits=self.picture_limits).turns
        thoughts = [
            str(block.get("reasoning") or "")
            for block in message.content_blocks
            if block["type"] == "reasoning"
        ]
        return Turn("assistant", (*filter(None, thoughts), *turn.parts), turn.tool_calls)
