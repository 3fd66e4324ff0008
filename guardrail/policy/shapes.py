"""What may stand at a place in a file, in words, read off its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guardrail.policy.suggest import listed

Loc = tuple[str | int, ...]
Schema = dict[str, Any]


class Shape:
    """The value at one place of a file.

    Args:
        root: The JSON Schema of the whole file.
        loc: The path of the value in it.
    """

    def __init__(self, root: Schema, loc: Loc = ()) -> None:
        self._root = root
        self._options = self._flat(root)
        for step in loc:
            self._options = [o for option in self._options for o in self._below(option, step)]

    @property
    def options(self) -> list[Schema]:
        """The schemas of which the value here may meet any."""
        return self._options

    @property
    def keys(self) -> list[str]:
        """The keys that the map here may have."""
        return [key for option in self._options for key in option.get("properties", {})]

    @property
    def choices(self) -> list[str]:
        """The words that the value here may be, if it is one of a few."""
        return [str(choice) for option in self._options for choice in option.get("enum", ())]

    @property
    def accepted(self) -> str:
        """What the value here may be, in words."""
        options = dict.fromkeys(filter(None, map(_described, self._options)))
        return " or ".join(options) or "something else"

    def _flat(self, schema: Schema) -> list[Schema]:
        return [self._deref(option) for option in schema.get("anyOf", [schema])]

    def _deref(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return dict(self._root["$defs"][schema["$ref"].rpartition("/")[2]])
        return schema

    def _below(self, schema: Schema, step: str | int) -> Iterator[Schema]:
        if isinstance(step, int):
            yield from self._flat(schema["items"]) if "items" in schema else ()
        elif step in schema.get("properties", {}):
            yield from self._flat(schema["properties"][step])
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from self._flat(schema["additionalProperties"])
        else:
            for pattern in schema.get("patternProperties", {}).values():
                yield from self._flat(pattern)


def _described(schema: Schema) -> str:
    if "enum" in schema:
        return "one of " + listed(str(choice) for choice in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return ("a whole number" if kind == "integer" else "a number") + _range(schema)
    if kind == "string":
        return _text(schema)
    if kind == "array":
        return "a list" + (" with at least one item" if schema.get("minItems") else "")
    if kind == "object":
        keys = list(schema.get("properties", ()))
        return "a map" + (f" with the keys {listed(keys)}" if keys else "")
    return {"boolean": "true or false", "null": "nothing"}.get(str(kind), "")


def _range(schema: Schema) -> str:
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']:g} up to {schema['maximum']:g}"
    return f" from {schema['minimum']:g} to {schema['maximum']:g}" if "maximum" in schema else ""


def _text(schema: Schema) -> str:
    limit = f" of at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    if "pattern" in schema:
        return f"lower-case letters, digits and dashes{limit}"
    return f"text{limit}"
