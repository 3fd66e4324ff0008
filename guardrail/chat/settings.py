"""LangChain's and Hugging Face's names for generation settings, to `GenerationSettings`.

One table of names serves the constructor, `bind` and each call. A name that nobody knows raises: a
misspelt setting must not be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from guardrail.errors import SettingsError
from guardrail.request.settings import GenerationSettings

_ALIASES: Mapping[str, str] = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "stop_sequences": "stop",
}
_NAMED = (
    *("max_new_tokens", "temperature", "top_p", "top_k", "do_sample", "seed", "stop"),
    *("logprobs", "top_logprobs"),
)
_ELSEWHERE: Mapping[str, str] = {
    "model": "one chat model serves one model: build another ChatSafeCoDe",
    "tools": "bind them with bind_tools()",
    "tool_choice": "bind it, with the tools, with bind_tools()",
    "parallel_tool_calls": "bind it, with the tools, with bind_tools()",
    "response_format": "bind it, or use with_structured_output()",
    "api_key": "a local model takes no key",
}
_LANGCHAIN_ONLY = frozenset({"stream", "stream_usage"})  # how LangChain calls, not how we decode


def settings_for(
    defaults: Iterable[tuple[str, Any]],
    call: Mapping[str, Any],
    *,
    stop: Sequence[str] | str | None,
) -> GenerationSettings:
    """Merges the settings of one call over the model's own.

    Args:
        defaults: The model's own settings, as pairs, by any of their names; None is "not set".
        call: The keyword arguments of one call; None is "not set".
        stop: LangChain's own stop argument; an empty list switches the model's stop strings off.

    Raises:
        SettingsError: A name is unknown, given twice, contradictory, or out of range.
    """
    merged = {**_canonical(defaults), **_canonical(call.items())}
    if stop is not None:
        merged["stop"] = stop
    if merged.get("do_sample") is True and merged.get("temperature") == 0:
        raise SettingsError("do_sample=True contradicts temperature=0, which is greedy decoding")
    if merged.get("logprobs") is False and call.get("top_logprobs") is None:
        merged.pop("top_logprobs", None)  # a call that wants none switches the model's own off
    words = merged.pop("stop", ())
    named = {name: merged.pop(name) for name in _NAMED if name in merged}
    _check_names(merged)
    return GenerationSettings(**named, stop=_stop_strings(words), extra=merged)


def _canonical(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in given:
        if value is None or name in _LANGCHAIN_ONLY:
            continue
        canonical = _ALIASES.get(name, name)
        if canonical in named and named[canonical] != value:
            raise SettingsError(
                f"{canonical} is given twice, as {named[canonical]!r} and {value!r}"
            )
        named[canonical] = value
    return named


def _stop_strings(words: Sequence[str] | str) -> tuple[str, ...]:
    listed = (words,) if isinstance(words, str) else tuple(words)
    for word in listed:
        if not isinstance(word, str):
            raise SettingsError(f"stop holds {word!r}, expected strings")
    return listed


def _check_names(extra: Mapping[str, Any]) -> None:
    if not extra:
        return
    known = _generate_arguments()
    for name in extra:
        if name in _ELSEWHERE:
            raise SettingsError(f"{name} cannot be set here: {_ELSEWHERE[name]}")
        if name not in known:
            close = get_close_matches(name, sorted(known | set(_NAMED) | set(_ALIASES)), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see the arguments of generate()"
            raise SettingsError(f"unknown generation setting {name!r}: {hint}")


def _generate_arguments() -> set[str]:
    """The names that `generate()` takes: its own parameters and the generation config's fields."""
    from guardrail.backends.transformers.loading import generate_arguments

    return generate_arguments()
