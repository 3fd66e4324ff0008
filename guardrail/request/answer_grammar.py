"""The form of an answer written as a grammar (Lark, as `llguidance` reads it).

It knows texts and schemas; not how tokens are held to a grammar, which is a backend's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from guardrail.errors import SettingsError
from guardrail.request.answer_form import NO_PARAMETERS, AnswerForm
from guardrail.request.call_format import CallFormat

_SEPARATORS = (", ", ": ")
_NAMED = frozenset({"properties", "patternProperties"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_COMBINING = frozenset(
    {"allOf", "anyOf", "oneOf", "not", "$ref", "if", "then", "else", "dependentSchemas"}
)
_SAYING_NOTHING = frozenset(
    {"type", "title", "description", "$schema", "$id", "$comment", "strict", "examples", "default"}
)
_OPENING = frozenset(
    {"additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties"}
)


def answer_grammar(
    form: AnswerForm,
    tools: Sequence[Mapping[str, Any]],
    call_format: CallFormat | None,
    control: Mapping[str, int],
) -> str:
    """Returns `form` as a Lark grammar.

    Args:
        form: What the answer has to be.
        tools: The tools that may be called, as JSON-schema dictionaries.
        call_format: How the model writes calls; None only where there are no tools.
        control: Control tokens that a format may hold, by their text: those are written as tokens,
            all else as text.

    Raises:
        SettingsError: No tool, or none of that name, can be called.
    """
    rules: list[str] = []
    starts: list[str] = []
    if call_format is not None and tools:
        starts.append("calls")
        rules += _call_rules(form, _callable(form, tools), call_format, control)
    elif form.calls == "forced":
        raise SettingsError("a tool call is forced, but no tools are given")
    if form.schema is not None:
        starts.append("answer")
        rules.append(f"answer: {_json(form.schema, _SEPARATORS)}")
    return "\n".join(["%llguidance {}", f"start: {' | '.join(starts)}", *rules])


def _callable(form: AnswerForm, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    functions = [tool["function"] for tool in tools]
    chosen = [each for each in functions if form.tool in (None, each["name"])]
    if not chosen:
        names = ", ".join(repr(each["name"]) for each in functions)
        raise SettingsError(f"tool_choice is {form.tool!r}, expected one of {names}")
    return chosen


def _call_rules(
    form: AnswerForm,
    functions: Sequence[Mapping[str, Any]],
    written: CallFormat,
    control: Mapping[str, int],
) -> list[str]:
    before, after = _literal(written.before, control), _literal(written.after, control)
    more = ""
    if form.parallel and written.between is not None:
        more = f"({_literal(written.between, control)} call)*"
    rules = [
        f"calls: {before} call {more} {after}",
        "call: " + " | ".join(f"call_{at}" for at in range(len(functions))),
    ]
    for at, function in enumerate(functions):
        head, tail = written.around_arguments(function["name"])
        arguments = _json(parameters_of(function), written.separators)
        rules += [
            f"call_{at}: {_literal(head, control)} arguments_{at} {_literal(tail, control)}",
            f"arguments_{at}: {arguments}",
        ]
    return rules


def parameters_of(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema of a function's arguments; one that says nothing of any takes none."""
    schema = function.get("parameters") or NO_PARAMETERS
    says = {name for name, value in schema.items() if value is not None} - _SAYING_NOTHING
    return schema if says else {**schema, **NO_PARAMETERS}


def _literal(text: str, control: Mapping[str, int]) -> str:
    """Returns `text` as Lark: strings, and the numbers of control tokens between them."""
    if not text:
        return ""
    pattern = "|".join(re.escape(each) for each in sorted(control, key=len, reverse=True))
    pieces = re.split(f"({pattern})", text) if pattern else [text]
    return " ".join(
        f"<[{control[piece]}]>" if piece in control else json.dumps(piece)
        for piece in pieces
        if piece
    )


def _json(schema: Mapping[str, Any], separators: tuple[str, str]) -> str:
    """Returns the Lark for JSON by `schema`, without white space of the model's own."""
    guidance = {
        "whitespace_flexible": False,
        "item_separator": separators[0],
        "key_separator": separators[1],
    }
    return "%json " + json.dumps({**closed(schema), "x-guidance": guidance})


def closed(schema: Any) -> Any:
    """Returns a schema whose objects have the properties that it names, and no others.

    Whatever follows it follows `schema`, too, and something does if anything followed `schema`: an
    object that says what else it may hold, or that is put together of several schemas, stays as it
    is, and so do definitions where a schema may put one together with another.
    """
    return _closed(schema, definitions=not _combines_anywhere(schema))


def _closed(schema: Any, *, definitions: bool) -> Any:
    if isinstance(schema, list):
        return [_closed(each, definitions=definitions) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if _combines(schema):
        return schema
    named = _NAMED | _DEFINITIONS if definitions else _NAMED
    inner = {
        name: {key: _closed(each, definitions=definitions) for key, each in value.items()}
        if name in named and isinstance(value, Mapping)
        else _closed(value, definitions=definitions)
        if name in ("items", "prefixItems", "anyOf", "oneOf", "additionalProperties")
        else value
        for name, value in schema.items()
    }
    if "properties" in inner and not _open_ended(inner):
        inner["additionalProperties"] = False
    return inner


def _combines(schema: Mapping[str, Any]) -> bool:
    """Whether an object has to follow several schemas at once."""
    parts = len(_COMBINING & schema.keys()) + ("properties" in schema)
    every = schema.get("allOf")
    return parts > 1 or (isinstance(every, list) and len(every) > 1)


def _combines_anywhere(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return _combines(schema) or any(map(_combines_anywhere, schema.values()))
    return isinstance(schema, list) and any(map(_combines_anywhere, schema))


def _open_ended(schema: Mapping[str, Any]) -> bool:
    """Whether an object may, or must, have properties that it does not name."""
    required = set(schema.get("required") or ())
    return bool(_OPENING & schema.keys() or required - schema["properties"].keys())
