"""The JSON Schema of a policy file, for editors and for the words of error messages."""

from __future__ import annotations

from functools import cache
from typing import Any

from guardrail.policy.context import KEYS, SelectionFile
from guardrail.policy.policy import Policy

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


@cache
def file_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a policy file; do not change it.

    It differs from the schema of `Policy` by what only files have (`extends`, `enabled` in a
    category, `add_phrases` in a vocabulary), and by what a file may leave to what it extends.
    """
    schema = Policy.model_json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    reference = {
        "type": "string",
        "description": "The name of a policy in a pack, or a path, relative to this file.",
    }
    properties["extends"] = {
        "description": "What this file inherits from; of a list the last wins.",
        "anyOf": [reference, {"type": "array", "items": reference}],
    }
    definitions["Category"]["properties"]["enabled"] = {
        "type": "boolean",
        "default": True,
        "description": "`false` takes an inherited category out.",
    }
    definitions["Category"]["required"] = ["id"]
    definitions["Vocabulary"]["properties"]["add_phrases"] = {
        **definitions["Vocabulary"]["properties"]["phrases"],
        "description": "Phrases on top of the inherited ones.",
    }
    properties["categories"].pop("minItems", None)
    schema["required"] = ["version", "name"]
    words = {"type": "string", "minLength": 1, "description": "The English words."}
    for key in ("reason", "message"):
        words_by_language = definitions["Category"]["properties"][key]
        kept = ("title", "description")
        moved = [name for name in words_by_language if name not in kept]
        by_language = {name: words_by_language.pop(name) for name in moved}
        words_by_language["anyOf"] = [words, by_language]
    first = ["version", "name", "extends"]
    schema["properties"] = {key: properties[key] for key in dict.fromkeys([*first, *properties])}
    schema["description"] = "What a policy says; the rest is what it extends, or a default."
    return {"$schema": SCHEMA_ID, **schema, "title": "Policy file"}


@cache
def selection_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a selection file; do not change it."""
    schema = SelectionFile.model_json_schema()
    one_or_more = {"type": "string", "minLength": 1}
    conditions = schema["$defs"]["When"]["properties"]
    for key in KEYS:
        conditions[key]["anyOf"].insert(0, one_or_more)
    labels = conditions["labels"]
    labels["additionalProperties"] = {"anyOf": [one_or_more, labels["additionalProperties"]]}
    return {"$schema": SCHEMA_ID, **schema, "title": "Policy selection file"}
