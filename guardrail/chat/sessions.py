"""Which session a chat model's call belongs to, and what a human said about it.

LangChain hands a run's configuration to `invoke` and `stream` alone: it is read here, and goes on
as the call's argument `session`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import ValidationError

from guardrail.chat.identity import ConfiguredChatModel
from guardrail.errors import SettingsError
from guardrail.policy.review import Review

SESSION_KEYS = ("session_id", "thread_id")


def session_of(config: RunnableConfig | None) -> str | None:
    """Returns the session that a run belongs to: by what is configurable, else by its metadata."""
    found = ensure_config(config)
    for place in (found.get("configurable") or {}, found.get("metadata") or {}):
        for key in SESSION_KEYS:
            if place.get(key) is not None:
                return str(place[key])
    return None


def review_of(given: Any) -> Review | None:
    """Returns a call's review, which may be plain JSON.

    Raises:
        SettingsError: It is none.
    """
    try:
        return None if given is None else Review.model_validate(given)
    except ValidationError as error:
        raise SettingsError(
            f"review is {given!r}, expected a request_id, whether it is approved, and a token"
        ) from error


class SessionChatModel(ConfiguredChatModel):
    """A chat model whose calls know their session."""

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answers.

        Args:
            input: Messages, or what LangChain makes messages of.
            config: Its `configurable` or `metadata` may name the session.
            stop: Strings that end the answer.
            **kwargs: Settings of this call.
        """
        return super().invoke(input, config, stop=stop, **with_session(kwargs, config))

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answers without blocking the event loop; see `invoke`.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            stop: As for `invoke`.
            **kwargs: As for `invoke`.
        """
        return await super().ainvoke(input, config, stop=stop, **with_session(kwargs, config))

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Streams the answer's chunks; see `invoke`.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            stop: As for `invoke`.
            **kwargs: As for `invoke`.
        """
        yield from super().stream(input, config, stop=stop, **with_session(kwargs, config))

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Streams the answer's chunks without blocking the event loop; see `invoke`.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            stop: As for `invoke`.
            **kwargs: As for `invoke`.
        """
        answer: Any = super().astream(input, config, stop=stop, **with_session(kwargs, config))
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk


def with_session(call: Mapping[str, Any], config: RunnableConfig | None) -> dict[str, Any]:
    """Returns a call's arguments with its session, where there is one."""
    session = call.get("session") or session_of(config)
    return {**call, "session": session} if session is not None else dict(call)
