"""Values of a document that remember where they stand.

They know nothing of YAML (see `document`) and nothing of policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from guardrail.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from one."""

    file: str
    line: int | None = None
    column: int | None = None

    def error(self, message: str) -> PolicyError:
        """Returns the error that `message` is at this place."""
        return PolicyError(message, file=self.file, line=self.line, column=self.column)

    def __str__(self) -> str:
        return ":".join(
            str(part) for part in (self.file, self.line, self.column) if part is not None
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: A `dict[str, Node]`, a `list[Node]`, or a plain `str | int | float | bool | None`.
        mark: Where the value begins.
        key_mark: Where its key begins, if it is an entry of a map.
    """

    value: Any
    mark: Mark
    key_mark: Mark | None = field(default=None, compare=False)

    @property
    def entries(self) -> dict[str, Node]:
        """The entries if this is a map, else none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items if this is a list, else none."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """Returns the value without the places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """Returns the deepest node along `path`: the node itself, or its nearest ancestor."""
        node = self
        for step in path:
            children: Any = node.value
            inside = isinstance(children, dict) and step in children
            if isinstance(children, list):
                inside = isinstance(step, int) and step < len(children)
            if not inside:
                break
            node = children[step]
        return node

    def leaves(
        self, path: tuple[str | int, ...] = ()
    ) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Yields every plain value below this node (and every empty map or list) with its path."""
        children: Any = self.value
        if isinstance(children, dict) and children:
            for key, node in children.items():
                yield from node.leaves((*path, key))
        elif isinstance(children, list) and children:
            for index, node in enumerate(children):
                yield from node.leaves((*path, index))
        else:
            yield path, self


def from_plain(value: Any, mark: Mark) -> Node:
    """Returns `value` (as PyYAML or JSON would give it) as a node, everything placed at `mark`."""
    if isinstance(value, dict):
        return Node({key: from_plain(item, mark) for key, item in value.items()}, mark)
    if isinstance(value, (list, tuple)):
        return Node([from_plain(item, mark) for item in value], mark)
    return Node(value, mark)
