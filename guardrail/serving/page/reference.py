"""An OpenAPI description, as rows of tables. It knows nothing of HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Described = Mapping[str, Any]
Kind = tuple[tuple[str, str | None], ...]
"""A type in words; beside each piece, the shape that it names, if any."""

_LIMITS = (
    ("minimum", "at least {:g}"),
    ("exclusiveMinimum", "above {:g}"),
    ("maximum", "at most {:g}"),
    ("minLength", "length at least {}"),
    ("maxLength", "length at most {}"),
    ("minItems", "at least {}"),
)


@dataclass(frozen=True)
class Field:
    """A parameter of a path, or a field of a body.

    Attributes:
        place: `path`, `query` or `header` of a parameter; empty for a field.
        limits: What holds for its values, in words.
        default: As JSON; None where there is none.
    """

    name: str
    kind: Kind
    required: bool
    limits: str
    default: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Operation:
    """What can be done at a path.

    Attributes:
        summary: In a sentence.
        more: What else is to be said, a paragraph each.
        body: What is sent; empty for nothing.
    """

    method: str
    path: str
    summary: str
    more: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: Kind


@dataclass(frozen=True)
class Shape:
    """An object that is sent or answered."""

    name: str
    about: tuple[str, ...]
    fields: tuple[Field, ...]


def operations_of(api: Described) -> tuple[Operation, ...]:
    """Returns what an API can do, in the description's order."""
    return tuple(
        _operation(path, method, each)
        for path, methods in api["paths"].items()
        for method, each in methods.items()
    )


def shapes_of(api: Described) -> tuple[Shape, ...]:
    """Returns the objects that are sent and answered, by name."""
    found: Described = api.get("components", {}).get("schemas", {})
    return tuple(
        Shape(
            name=name,
            about=_paragraphs(each.get("description", "")),
            fields=tuple(
                _field(field, given, required=field in each.get("required", ()))
                for field, given in each.get("properties", {}).items()
            ),
        )
        for name, each in sorted(found.items())
    )


def _operation(path: str, method: str, given: Described) -> Operation:
    said = _paragraphs(given.get("description", "")) or (given.get("summary", ""),)
    sent: Described = given.get("requestBody", {}).get("content", {})
    return Operation(
        method=method.upper(),
        path=path,
        summary=said[0],
        more=said[1:],
        parameters=tuple(
            _field(each["name"], each["schema"], required=each["required"], place=each["in"])
            for each in given.get("parameters", ())
        ),
        body=next((_kind(each["schema"]) for each in sent.values()), ()),
    )


def _field(name: str, given: Described, *, required: bool, place: str = "") -> Field:
    known = [given, *given.get("anyOf", ())]
    limits = [
        form.format(each[key])
        for each in known
        for key, form in _LIMITS
        if each.get(key) is not None
    ]
    default = json.dumps(given["default"]) if given.get("default") is not None else None
    return Field(name, _kind(given), required, ", ".join(limits), default, place)


def _kind(given: Described) -> Kind:
    if "$ref" in given:
        name = given["$ref"].rpartition("/")[2]
        return ((name, name),)
    if "anyOf" in given:
        return _joined([_kind(each) for each in given["anyOf"]])
    if "const" in given:
        return ((json.dumps(given["const"]), None),)
    if "enum" in given:
        return ((" or ".join(json.dumps(each) for each in given["enum"]), None),)
    if given.get("type") == "array":
        return (("list of ", None), *_kind(given.get("items", {})))
    return ((given.get("type", "anything"), None),)


def _joined(kinds: Sequence[Kind]) -> Kind:
    def pieces() -> Iterator[tuple[str, str | None]]:
        for at, kind in enumerate(kinds):
            if at:
                yield " or ", None
            yield from kind

    return tuple(pieces())


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(each.split()) for each in text.split("\n\n") if each.strip())
