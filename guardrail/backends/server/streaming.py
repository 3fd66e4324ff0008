"""An answer's tokens, from the events of a server's stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from guardrail.backends.backend import FinishReason
from guardrail.backends.server.candidates import Named, named, tokens_used
from guardrail.backends.server.forms import CallPieces
from guardrail.backends.server.spelling import Spelling
from guardrail.errors import ServerError

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "eos": "stop",
    "tool_calls": "stop",
}

_LONG = 32
"""Bytes of a piece of text that is more than a token, and will hardly come again."""


def streamed_tokens(
    events: Iterator[Any], spelling: Spelling, counted: Callable[[int], None] = lambda _: None
) -> Generator[tuple[int, FinishReason | None], None, None]:
    """Yields tokens, the last one with why the answer ended.

    Where the server does not say what its tokens are, a piece of text counts as one. Tool calls
    come at the end, as text, with as many empty tokens as the server says that there were more.

    Args:
        events: Of a stream.
        spelling: What tokens spell.
        counted: Told how many tokens the prompt has, before the last token, if the server says it.

    Raises:
        ServerError: An event is none of the chat API, or the stream ends without saying why.
    """
    held: int | None = None
    reason: FinishReason | None = None
    calls, given, made = CallPieces(), 0, 0
    with closing(events):  # type: ignore[type-var]  # a generator
        for event in events:
            made = max(made, tokens_used(event, "completion_tokens"))
            if prompt := tokens_used(event, "prompt_tokens"):
                counted(prompt)
            choice = _choice(event)
            if choice is None:
                continue
            calls.take(choice.get("delta") or {})
            for number in _numbers(choice, spelling):
                if held is not None:
                    yield held, None
                held, given = number, given + 1
            reason = _reason(choice) or reason
    if reason is None:
        raise ServerError("the server's stream ends without saying why")
    last = [held] if held is not None else []
    if text := calls.text():
        last.append(spelling.tokens.once(text.encode("utf-8", "surrogatepass")))
        last += [spelling.tokens.once(b"")] * max(0, made - given - 1)
    last = last or [spelling.tokens.number(b"", control=True)]
    for number in last[:-1]:
        yield number, None
    yield last[-1], reason


def _reason(choice: Mapping[str, Any]) -> FinishReason | None:
    reason = choice.get("finish_reason")
    if reason is None:
        return None
    if reason not in _REASONS:
        raise ServerError(f"the server ends the answer with {reason!r}")
    return _REASONS[reason]


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
    named = _named(choice)
    if len(named) == 1 and named[0].server_id is None and len(named[0].spelled or b"") > _LONG:
        return [spelling.tokens.once(named[0].spelled or b"")]
    return spelling.numbers(named)


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
