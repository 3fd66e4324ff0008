"""An answer's tokens, from the events of a server's stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from guardrail.backends.results import FinishReason
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

StreamedToken = tuple[int, Any]
"""A token, and the server's entry of log-probabilities at its place; None without one."""


def streamed_tokens(
    events: Generator[Any, None, None],
    spelling: Spelling,
    counted: Callable[[int], None] = lambda _: None,
) -> Generator[StreamedToken, None, FinishReason]:
    """Yields tokens as they come; returns why the answer ended.

    Where the server does not say what its tokens are, a piece of text counts as one. Tool calls
    come at the end, as text, with as many empty tokens as the server says that there were more.

    Args:
        events: Of a stream.
        spelling: What tokens spell.
        counted: Told how many tokens the prompt has, once the server says it.

    Raises:
        ServerError: An event is none of the chat API, or the stream ends without saying why.
    """
    reason: FinishReason | None = None
    calls, given, made = CallPieces(), 0, 0
    with closing(events):
        for event in events:
            made = max(made, tokens_used(event, "completion_tokens"))
            if prompt := tokens_used(event, "prompt_tokens"):
                counted(prompt)
            choice = _choice(event)
            if choice is None:
                continue
            calls.take(choice.get("delta") or {})
            for token in _tokens(choice, spelling):
                yield token
                given += 1
            reason = _reason(choice) or reason
    if reason is None:
        raise ServerError("the server's stream ends without saying why")
    if text := calls.text():
        yield spelling.tokens.once(text.encode("utf-8", "surrogatepass")), None
        for _ in range(made - given - 1):
            yield spelling.tokens.once(b""), None
    return reason


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


def _tokens(choice: Mapping[str, Any], spelling: Spelling) -> Sequence[StreamedToken]:
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, Mapping) else None
    if not isinstance(content, list):
        content = []
    named = _named(choice, content)
    pieces = not content and len(named) == 1 and named[0].server_id is None
    if pieces and len(named[0].spelled or b"") > _LONG:
        return [(spelling.tokens.once(named[0].spelled or b""), None)]
    numbers = spelling.numbers(named)
    entries = content if len(content) == len(numbers) else [None] * len(numbers)
    return [*zip(numbers, entries, strict=True)]


def _named(choice: Mapping[str, Any], content: Sequence[Any]) -> list[Named]:
    ids = choice.get("token_ids")
    if isinstance(ids, list) and ids and all(type(each) is int and each >= 0 for each in ids):
        return [Named(None, each) for each in ids]
    if content:
        return [named(each) for each in content if isinstance(each, Mapping)]
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, Mapping) else None
    if not text:
        return []
    if not isinstance(text, str):
        raise ServerError("the server streams text that is none")
    return [Named(text.encode("utf-8", "surrogatepass"), None)]
