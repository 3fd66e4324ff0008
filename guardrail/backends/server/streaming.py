"""An answer's tokens, from the events of a server's stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from guardrail.backends.backend import FinishReason
from guardrail.backends.server.candidates import Named, named
from guardrail.backends.server.spelling import Spelling
from guardrail.errors import ServerError

_REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "eos": "stop"}


def streamed_tokens(
    events: Iterator[Any], spelling: Spelling
) -> Generator[tuple[int, FinishReason | None], None, None]:
    """Yields tokens, the last one with why the answer ended.

    Where the server does not say what its tokens are, a piece of text counts as one.

    Raises:
        ServerError: An event is none of the chat API, or the stream ends without saying why.
    """
    held: int | None = None
    try:
        for event in events:
            choice = _choice(event)
            if choice is None:
                continue
            for number in _numbers(choice, spelling):
                if held is not None:
                    yield held, None
                held = number
            reason = choice.get("finish_reason")
            if reason is not None:
                if reason not in _REASONS:
                    raise ServerError(f"the server ends the answer with {reason!r}")
                end = spelling.tokens.number(b"", control=True)
                yield end if held is None else held, _REASONS[reason]
                return
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
    raise ServerError("the server's stream ends without saying why")


def _choice(event: Any) -> Mapping[str, Any] | None:
    if isinstance(event, Mapping) and event.get("error"):
        raise ServerError("the server reports an error in the middle of the answer")
    try:
        choices = event["choices"]
        found = choices[0] if choices else None  # the last event may hold the usage alone
    except (TypeError, LookupError):
        raise ServerError("the server streams what is no event of the chat API") from None
    if found is not None and not isinstance(found, Mapping):
        raise ServerError("the server streams what is no event of the chat API")
    return found


def _numbers(choice: Mapping[str, Any], spelling: Spelling) -> list[int]:
    found = spelling.numbers(_named(choice))
    return [each for each in found if not spelling.tokens.is_control(each)]


def _named(choice: Mapping[str, Any]) -> list[Named]:
    ids = choice.get("token_ids")
    if isinstance(ids, list) and ids and all(type(each) is int and each >= 0 for each in ids):
        return [Named(None, each) for each in ids]
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, Mapping) else None
    if isinstance(content, list) and content:
        return [named(each) for each in content if isinstance(each, Mapping)]
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, Mapping) else None
    if not text:
        return []
    if not isinstance(text, str):
        raise ServerError("the server streams text that is none")
    return [Named(text.encode("utf-8", "surrogatepass"), None)]
