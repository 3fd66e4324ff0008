"""Answers out of LangChain's caches: only where asked for, always on record, never for want of a
judge.

A cache knows texts and settings; which policy holds is part of its key. It does not know that a
picture's file, or what a session remembers, has changed: such requests never come out of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.globals import get_llm_cache
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from pydantic import ValidationError
from typing_extensions import Self

from guardrail.chat.copies import CopyingChatModel
from guardrail.chat.messages import has_pictures_by_address
from guardrail.chat.streaming import in_thread
from guardrail.chat.tools import ToolCallingChatModel
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.record.decision import Decision

Served = Callable[[Decision, str], Decision]
"""Puts on record that an answer is given again; gets its decision and text, returns the record."""


class RecordedCache(BaseCache):
    """A cache as one request sees it: what it gives is put on record, what failed is not kept.

    Args:
        cache: Where answers are kept.
        served: Records that one is given again.
    """

    def __init__(self, cache: BaseCache, served: Served) -> None:
        self._cache, self._served = cache, served

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Returns the answer that is kept, with the record of this request; None without one."""
        return self._recorded(self._cache.lookup(prompt, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Does the same without blocking the event loop."""
        return await in_thread(self._recorded, await self._cache.alookup(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keeps an answer, unless it came of something that failed."""
        if _decisions(return_val) is not None:
            self._cache.update(prompt, llm_string, return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Does the same without blocking the event loop."""
        if _decisions(return_val) is not None:
            await self._cache.aupdate(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Empties the cache."""
        self._cache.clear(**kwargs)

    def _recorded(self, found: Any) -> list[Generation] | None:
        decisions = _decisions(found) if isinstance(found, list) and found else None
        if decisions is None:  # it says nothing of who decided: an answer that nobody vouches for
            return None
        return [
            _with_decision(each, self._served(decision, each.message.text))
            for each, decision in zip(found, decisions, strict=True)
        ]


class CachingChatModel(CopyingChatModel, ToolCallingChatModel):
    """A chat model that answers out of a cache where its owner asked for it.

    LangChain's global cache alone asks for nothing: `cache=True` or a cache of its own does.
    """

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # The policy is settled before the look-up, since a selection chooses it by metadata of
        # which the cache knows nothing.
        metadata = run_manager.metadata if run_manager else None
        kwargs["policy"] = self._chosen(kwargs.get("policy"), metadata)
        return super(CachingChatModel, self._caching(messages, kwargs))._generate_with_cache(
            messages, stop, run_manager, **kwargs
        )

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        metadata = run_manager.metadata if run_manager else None
        kwargs["policy"] = await in_thread(self._chosen, kwargs.get("policy"), metadata)
        caching = self._caching(messages, kwargs)
        return await super(CachingChatModel, caching)._agenerate_with_cache(
            messages, stop, run_manager, **kwargs
        )

    def _chosen(self, policy: Any, metadata: Metadata | None) -> Policy:
        """Returns the policy of a request; that there is none is on record."""
        with self.engine.preparing():
            return self._policy_for(policy, metadata)

    def _caching(self, messages: list[BaseMessage], call: dict[str, Any]) -> Self:
        """Returns this model as one request has it: with a cache that records, or without any."""
        policy: Policy = call["policy"]
        if policy.session.memory == "off":
            call.pop("session", None)  # it changes nothing, and answers are shared by all sessions
        cache = get_llm_cache() if self.cache is True else self.cache
        if self.cache is True and cache is None:
            return self  # LangChain says what is missing
        changes = call.get("session") is not None or call.get("review") is not None
        if not isinstance(cache, BaseCache) or changes or has_pictures_by_address(messages):
            return self if self.cache is False else self.model_copy(update={"cache": False})

        def served(decision: Decision, text: str) -> Decision:
            with self.engine.preparing() as known:
                known.policy = policy
                conversation = self._conversation(messages, dict(call))
            record: Decision = self.engine.served(conversation, decision, text, policy=policy)
            return record

        return self.model_copy(update={"cache": RecordedCache(cache, served)})


def keepable(decision: Decision) -> bool:
    """Whether an answer may be given again: what came of a failure may not."""
    return (
        decision.verdict.error is None
        and decision.verdict.label != "unavailable"
        and all(each.label != "unavailable" for each in decision.watch)
        and decision.contrast.skipped != "out of memory"
        and decision.outcome.finish_reason not in ("cancelled", "error", "escalated")
    )


def _decisions(generations: Sequence[Any]) -> list[Decision] | None:
    """Returns the decisions of answers that may be given again; None if one may not."""
    found: list[Decision] = []
    for each in generations:
        if not isinstance(each, ChatGeneration) or not isinstance(each.message, AIMessage):
            return None
        try:
            decision = Decision.model_validate(each.message.response_metadata.get("guardrail"))
        except ValidationError:
            return None
        if not keepable(decision):
            return None
        found.append(decision)
    return found


def _with_decision(generation: ChatGeneration, decision: Decision) -> ChatGeneration:
    metadata = {
        **generation.message.response_metadata,
        "guardrail": decision.model_dump(mode="json"),
    }
    message = generation.message.model_copy(update={"response_metadata": metadata})
    return generation.model_copy(update={"message": message})
