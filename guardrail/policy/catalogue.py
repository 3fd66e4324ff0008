"""What policies there are to name: those of the shipped pack and of other packages."""

from __future__ import annotations

from typing import Any

from guardrail.policy.document import parse_document
from guardrail.policy.nodes import Node
from guardrail.policy.packs import find_source, names


def catalogue() -> list[dict[str, Any]]:
    """Returns each policy's name, kind, description and what it extends, as plain JSON.

    The kind is `policy`, `vocabulary` (only refusals, to extend together with a policy) or
    `selection`. Nothing is resolved here: a pack that does not check is listed all the same.
    """
    found = []
    for name in names():
        source = find_source(name)
        document = parse_document(source.read(), source.label)
        found.append(
            {
                "name": name,
                "kind": _kind(document),
                "description": _text(document, "description"),
                "extends": _extends(document),
                "file": source.label,
            }
        )
    return found


def _kind(document: Node) -> str:
    if "select" in document.entries:
        return "selection"
    own = set(document.entries) - {"version", "name", "description"}
    return "vocabulary" if own == {"refusals"} else "policy"


def _text(document: Node, key: str) -> str:
    node = document.entries.get(key)
    return str(node.value) if node is not None else ""


def _extends(document: Node) -> list[str]:
    node = document.entries.get("extends")
    if node is None:
        return []
    value = node.plain()
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
