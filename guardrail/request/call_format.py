"""How a model writes tool calls, read off its own chat template.

Knows texts only: a template is rendered with a call that is easy to find again, and what stands
around it is the format. Nothing here goes by a model's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guardrail.errors import MessageError, ModelError
from guardrail.request.conversation import Conversation, Turn

PROBE = "probe_tool_zq"
"""The name in `CallFormat.head`."""

_SAID = "~zq~"
_ARGUMENTS = {"first_zq": "one zq", "second_zq": "two zq"}
_COMPACT = (", ", ": ")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class CallFormat:
    """How an answer holds tool calls: `before` call (`between` call)* `after`.

    Attributes:
        before: What stands before the first call.
        between: What stands between two calls; None where an answer holds one call only.
        after: What stands after the last call.
        head: A call up to its arguments, with `PROBE` as its name.
        tail: A call after its arguments.
        keys: Names of a call's name and of its arguments, where both are in one JSON object; None
            where the name stands outside the arguments' JSON.
        separators: Between the items of an object, and between a key and its value.
    """

    before: str
    between: str | None
    after: str
    head: str
    tail: str
    keys: tuple[str, str] | None
    separators: tuple[str, str] = _COMPACT

    def around_arguments(self, name: str) -> tuple[str, str]:
        """Returns what stands before and after the arguments of a call of tool `name`."""
        written = json.dumps(name, ensure_ascii=False)[1:-1] if self.keys else name
        return self.head.replace(PROBE, written), self.tail

    @property
    def opening(self) -> str:
        """By what the beginning of a call is known; empty where it is a bare JSON object."""
        return self.before.strip().removesuffix("[").strip() if self.keys else self.before.strip()

    @property
    def closing(self) -> str:
        """What ends a call, beyond its JSON; may be empty."""
        return self.after.strip().removeprefix("]").strip()

    @property
    def middle(self) -> str:
        """What stands between the name and the arguments, where the name is outside the JSON."""
        return "" if self.keys else self.head.removeprefix(PROBE).strip()

    @property
    def written(self) -> str:
        """All that the format itself writes."""
        return "".join((self.before, self.head, self.tail, self.between or "", self.after))


def derive_call_format(render: Callable[[Conversation], str]) -> CallFormat:
    """Returns the format in which a chat template writes tool calls.

    Args:
        render: A conversation to the prompt that the model would be given.

    Raises:
        ModelError: The template does not take tools, or writes calls in a way that is not known
            (XML of a model's own, say).
    """
    asked = Turn("user", ("What is it?",))
    try:
        plain, told = render(Conversation((asked,))), render(Conversation((asked,), (_tool(),)))
    except MessageError as error:
        raise ModelError(f"the model's chat template does not take tools: {error}") from error
    if plain == told or PROBE not in told:
        raise ModelError("the model's chat template does not take tools: it leaves them out")
    try:
        said = render(Conversation((asked, Turn("assistant", (_SAID,))), (_tool(),)))
        one = render(_called(asked, PROBE))
    except MessageError as error:
        raise ModelError(f"the model's chat template does not take tool calls: {error}") from error
    start = _common(said, one)
    body = one[start:]
    call = _find(body, PROBE, 0)
    if call is None:
        raise ModelError(
            "the model's chat template writes tool calls in a form that cannot be read here: "
            "expected a JSON object with a name and arguments, or a name and a JSON object"
        )
    if call.keys and body[: call.start].strip() == "[":
        raise ModelError(
            "the model's chat template writes tool calls as a bare list, which cannot be told from "
            "an answer: expected something before it, or a bare JSON object"
        )
    rest, ending = body[call.end :], said[said.rindex(_SAID) + len(_SAID) :]
    shared = _common(rest[::-1], ending[::-1])
    return CallFormat(
        before=body[: call.start],
        between=_between(render, asked, start),
        after=rest[: len(rest) - shared],
        head=body[call.start : call.arguments],
        tail=body[call.arguments_end : call.end],
        keys=call.keys,
        separators=_separators(body[call.arguments : call.arguments_end]),
    )


@dataclass(frozen=True)
class _Found:
    """Where a call stands in a text, and its arguments in it."""

    start: int
    arguments: int
    arguments_end: int
    end: int
    keys: tuple[str, str] | None


def _between(render: Callable[[Conversation], str], asked: Turn, start: int) -> str | None:
    names = (f"{PROBE}_a", f"{PROBE}_b")
    try:
        body = render(_called(asked, *names))[start:]
    except MessageError:
        return None
    first = _find(body, names[0], 0)
    second = _find(body, names[1], first.end) if first is not None else None
    return body[first.end : second.start] if first is not None and second is not None else None


def _find(text: str, name: str, start: int) -> _Found | None:
    """Finds the first call of `name` from `start` on."""
    values = list(_objects(text, start))
    arguments = next(((at, end) for at, end, value in values if value == _ARGUMENTS), None)
    if arguments is None:
        return None
    around = [
        _Found(at, *arguments, end, keys)
        for at, end, value in values
        if at < arguments[0] and (keys := _keys(value, name)) is not None
    ]
    if around:
        return around[-1]  # the innermost
    named = text.rfind(name, start, arguments[0])
    middle = text[named + len(name) : arguments[0]].strip()
    before = text[start:named].strip()
    if named < 0 or not middle or not before:
        return None
    return _Found(named, *arguments, arguments[1], None)


def _objects(text: str, start: int) -> Iterator[tuple[int, int, Any]]:
    at = text.find("{", start)
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
            yield at, end, value
        except json.JSONDecodeError:
            pass
        at = text.find("{", at + 1)


def _keys(value: Mapping[str, Any], name: str) -> tuple[str, str] | None:
    names = [key for key, inner in value.items() if inner == name]
    arguments = [key for key, inner in value.items() if inner == _ARGUMENTS]
    return (names[0], arguments[0]) if names and arguments else None


def _common(one: str, other: str) -> int:
    """Returns how many first characters two texts share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _separators(text: str) -> tuple[str, str]:
    (first, one), (second, two) = (
        (json.dumps(key), json.dumps(value)) for key, value in _ARGUMENTS.items()
    )
    key = text[text.index(first) + len(first) : text.index(one)]
    item = text[text.index(one) + len(one) : text.index(second)]
    plain = f"{{{first}{key}{one}{item}{second}{key}{two}}}"
    return (item, key) if text == plain else _COMPACT


def _tool() -> Mapping[str, Any]:
    properties = {key: {"type": "string"} for key in _ARGUMENTS}
    return {
        "type": "function",
        "function": {
            "name": PROBE,
            "description": "Probes.",
            "parameters": {"type": "object", "properties": properties, "required": []},
        },
    }


def _called(asked: Turn, *names: str) -> Conversation:
    calls = tuple({"name": name, "arguments": dict(_ARGUMENTS)} for name in names)
    return Conversation((asked, Turn("assistant", (), calls)), (_tool(),))
