"""From pydantic's errors to one clear sentence each, at its line and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from guardrail.errors import PolicyError
from guardrail.policy.blanks import blank_note
from guardrail.policy.faults import FAULT
from guardrail.policy.nodes import Mark, Node
from guardrail.policy.shapes import Loc, Shape
from guardrail.policy.suggest import SHOWN_LENGTH, did_you_mean, listed, quoted

# Steps that pydantic adds to a location and that are no part of the file.
_ARTEFACTS = ("[key]", "function-after", "function-before")


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Node, schema: Callable[[], dict[str, Any]]) -> M:
    """Returns the content of a merged document as a `model`.

    Args:
        model: What it has to be.
        document: The document.
        schema: Makes the model's JSON Schema, by which problems are put into words: it takes time,
            and what is valid needs none.

    Raises:
        PolicyError: For the first problem in the file (what is missing comes last), saying how many
            more there are.
    """
    try:
        return model.model_validate(document.plain(), context={"resolved": True})
    except ValidationError as error:
        found = _in_order(error, document)
        first = _problem(found[0], document, schema())
        if len(found) > 1:
            first.args = (f"{first.args[0]} (and {len(found) - 1} more)",)
        raise first from None


def _in_order(error: ValidationError, document: Node) -> list[Any]:
    """Returns what pydantic said, by place; the words for it take time, and come later."""
    errors = error.errors(include_url=False)
    found = [details for details in errors if not _echo(details, errors)]
    return sorted(found, key=lambda details: _order(details, document))


def _order(details: Any, document: Node) -> tuple[bool, int, int]:
    loc: Loc = tuple(s for s in details["loc"] if not str(s).startswith(_ARTEFACTS))
    kind = details["type"]
    if kind == FAULT:
        loc, _ = _fault(loc, details["ctx"], document)
    mark = _place(document, loc, kind, on_key="[key]" in details["loc"])
    # What is missing comes last: often it is there, misspelt.
    return kind == "missing", mark.line or 0, mark.column or 0


def _problem(details: Any, document: Node, schema: dict[str, Any]) -> PolicyError:
    loc: Loc = tuple(s for s in details["loc"] if not str(s).startswith(_ARTEFACTS))
    on_key = "[key]" in details["loc"]
    kind = details["type"]
    if kind == FAULT:
        loc, message = _fault(loc, details["ctx"], document)
    elif on_key:
        shown = quoted(loc[-1])
        message = f"{shown} is not accepted as a key: accepted is {_key_kind(loc[:-1])}"
    else:
        message = _message(kind, details, loc, document, schema)
    mark = _place(document, loc, kind, on_key=on_key)
    dotted = _dotted(loc, document)
    where = f"{dotted}: " if dotted else ""
    note = "" if kind == "extra_forbidden" else blank_note(document.at(loc).value)
    return mark.error(where + message + note)


def _fault(loc: Loc, context: Mapping[str, Any], document: Node) -> tuple[Loc, str]:
    """Returns the place to blame: of two values that clash, the one in the file itself."""
    paths: list[Loc] = [(*loc, *path) for path in context["paths"]]
    own = [path for path in paths if document.at(path).mark.file == document.mark.file]
    return (own or paths)[0], str(context["message"])


def _key_kind(loc: Loc) -> str:
    by_language = loc == ("refusals",) or loc[-1] in ("reason", "message")
    return "a language code such as en or pt-BR" if by_language else "lower-case letters and dashes"


def _place(document: Node, loc: Loc, kind: str, *, on_key: bool) -> Mark:
    node = document.at(loc)
    if (kind == "extra_forbidden" or on_key) and node.key_mark is not None:
        return node.key_mark
    return node.mark


def _dotted(loc: Loc, document: Node) -> str:
    """Returns `categories.child-at-risk.unsafe_at`: by id where there is one."""
    parts: list[str] = []
    for depth, step in enumerate(loc):
        name = str(step)
        if isinstance(step, int):
            found = document.at(loc[: depth + 1]).entries.get("id")
            if found is not None and isinstance(found.value, str):
                name = found.value
        parts.append(name if len(name) <= SHOWN_LENGTH else f"{name[: SHOWN_LENGTH - 1]}…")
    return ".".join(parts)


def _message(kind: str, details: Any, loc: Loc, document: Node, schema: dict[str, Any]) -> str:
    shape = Shape(schema, loc)
    if kind == "missing":
        return f"this is missing: accepted is {shape.accepted}"
    if kind == "extra_forbidden":
        keys = Shape(schema, loc[:-1]).keys
        return f"unknown key{did_you_mean(loc[-1], keys)}: accepted are {listed(keys)}"
    if kind in ("too_short", "too_long") and "actual_length" in details["ctx"]:
        return _length(kind, details["ctx"], "characters" if _is_text(details) else "items")
    given = details["input"]
    node = document.at(loc)
    shown = _shown(given if node is document else node.value)
    return (
        f"{shown} is not accepted{did_you_mean(given, shape.choices)}: accepted is {shape.accepted}"
    )


def _echo(details: Any, errors: Sequence[Any]) -> bool:
    """Whether a list is called too short only because of what is wrong with its items."""
    loc = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in errors
    )


def _is_text(details: Any) -> bool:
    return isinstance(details["input"], str)


def _length(kind: str, context: Mapping[str, Any], unit: str) -> str:
    at = "at least" if kind == "too_short" else "at most"
    bound = context["min_length" if kind == "too_short" else "max_length"]
    given = context["actual_length"]
    return f"{given:,} {unit} are not accepted: accepted are {at} {bound:,} {unit}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, (list, tuple)) else quoted(value)
