"""A policy as text: every value, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from guardrail.policy.document import reads_as_text
from guardrail.policy.loader import Loaded
from guardrail.policy.nodes import Node

DEFAULT = "default"
_COLUMN = 60

Path = tuple[str | int, ...]


def resolved_lines(loaded: Loaded) -> Iterator[str]:
    """Yields the resolved policy as YAML, with each value's file, line and column as a comment.

    The output is a policy file: it loads to the same policy, without inheriting anything.
    """
    yield from _lines(loaded.policy.model_dump(mode="json"), loaded.document, 0)


def resolved_values(loaded: Loaded) -> list[dict[str, Any]]:
    """Returns every value of the resolved policy with its path and its place, as plain JSON."""
    content = loaded.policy.model_dump(mode="json")
    return [
        {"path": path, "value": value, "from": place}
        for path, value, place in _leaves(content, loaded.document, "")
    ]


def _below(node: Node | None, step: str | int) -> Node | None:
    if node is None:
        return None
    found = node.at((step,))
    return None if found is node else found


def _place(node: Node | None) -> str:
    return DEFAULT if node is None else str(node.mark)


def _leaves(value: Any, node: Node | None, path: str) -> Iterator[tuple[str, Any, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, _below(node, key), f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            name = item.get("id", index) if isinstance(item, dict) else index
            yield from _leaves(item, _below(node, index), f"{path}.{name}")
    else:
        yield path, value, _place(node)


def _lines(value: dict[str, Any], node: Node | None, indent: int) -> Iterator[str]:
    for key, item in value.items():
        below = _below(node, key)
        head = f"{' ' * indent}{_scalar(key)}:"
        if isinstance(item, dict) and item:
            yield head
            yield from _lines(item, below, indent + 2)
        elif isinstance(item, list) and item:
            yield head
            yield from _items(item, below, indent + 2)
        else:
            yield _with_place(f"{head} {_scalar(item)}", below)


def _items(value: list[Any], node: Node | None, indent: int) -> Iterator[str]:
    for index, item in enumerate(value):
        below = _below(node, index)
        if isinstance(item, dict):
            first, *rest = _lines(item, below, indent + 2)
            yield f"{' ' * indent}- {first.lstrip()}"
            yield from rest
        else:
            yield _with_place(f"{' ' * indent}- {_scalar(item)}", below)


def _with_place(text: str, node: Node | None) -> str:
    return f"{text:<{_COLUMN}}  # {_place(node)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if reads_as_text(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (dict, list)):
        return "{}" if isinstance(value, dict) else "[]"
    return json.dumps(value)
