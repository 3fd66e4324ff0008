"""What a caller wants of an answer, by the names of the chat API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.backends.backend import Constraint
from guardrail.backends.results import FinishReason
from guardrail.backends.server.forms import offered
from guardrail.backends.server.spelling import Spelling
from guardrail.request.conversation import Conversation
from guardrail.request.settings import DEFAULT_MAX_NEW_TOKENS, GenerationSettings


def most_tokens(settings: GenerationSettings) -> int:
    """Returns how many tokens an answer may have."""
    return settings.max_new_tokens or DEFAULT_MAX_NEW_TOKENS


def reason_of(
    settings: GenerationSettings, said: Sequence[int], spelling: Spelling
) -> FinishReason | None:
    """Returns why an answer ends with these tokens; None if it goes on."""
    if settings.stop:
        text = spelling.text(said)
        if any(each in text for each in settings.stop):
            return "stop"
    return "length" if len(said) >= most_tokens(settings) else None


def wanted(
    settings: GenerationSettings, conversation: Conversation, held: Constraint | None, *, begun: int
) -> dict[str, Any]:
    """Returns what is asked for the rest of an answer.

    Args:
        settings: The caller's.
        conversation: What is answered.
        held: What the answer is held to; free to call its tools without it.
        begun: Tokens that are there already.
    """
    found: dict[str, Any] = {
        "max_tokens": most_tokens(settings) - begun,
        "temperature": settings.temperature or 0,
    }
    named = {"top_p": settings.top_p, "top_k": settings.top_k, "seed": settings.seed}
    found |= {name: value for name, value in named.items() if value is not None}
    if settings.logprobs:  # one at least, since some servers tell nothing otherwise
        found |= {"logprobs": True, "top_logprobs": max(1, settings.top_logprobs)}
    if settings.stop:
        found["stop"] = list(settings.stop)
    return {**found, **(held or offered(conversation)), **settings.extra}
