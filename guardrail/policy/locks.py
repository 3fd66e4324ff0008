"""Locked fields: what a policy locks, nothing that inherits from it may change.

A lock names a path: `verdict.on_error`, `judge`, `categories.child-at-risk`,
`categories.child-at-risk.on_unsafe`. What is compared is the value *in effect*: a category's
threshold may come from `verdict`, and a lock on `verdict.on_unsafe` holds in every category, new
ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.policy.nodes import Mark, Node
from guardrail.policy.schema import PolicyContent
from guardrail.policy.section import Section
from guardrail.policy.suggest import quoted
from guardrail.policy.terms import RULE_FIELDS, WORDS

Path = tuple[str | int, ...]
_ABSENT = "absent"


def check_locks(parent: Node, child: Node, at: Mark) -> None:
    """Checks that `child` keeps what `parent` locks.

    Args:
        parent: A resolved document.
        child: The resolved document that inherits from it.
        at: Where to place an error whose value is gone from the child: its `extends`.

    Raises:
        PolicyError: At the value that changes a locked one.
    """
    defaults, below = _defaults(parent), _defaults(child)
    for node in parent.at(("locked",)).items if "locked" in parent.entries else ():
        if not isinstance(node.value, str):
            continue  # the schema refuses it
        for path in _places(node.value, parent, child):
            before = _effective(parent, path, defaults)
            after = _effective(child, path, below)
            if not _same(before, after):
                if _is_taken_out(path, parent, child):
                    raise at.error(
                        f"categories.{path[1]} is locked by {node.mark}: it cannot be taken out; "
                        "remove its `enabled: false`, or ask the owner of that policy"
                    )
                dotted = ".".join(str(part) for part in path)
                if path[0] not in defaults:
                    before = after = {}  # no field of a policy: nobody knows what it holds
                raise _blame(child, path, at).error(
                    f"{dotted} is locked by {node.mark}: {_shown(before, 'what is inherited')} "
                    f"cannot become {_shown(after, 'another value')}; remove this, or ask the "
                    "owner of that policy"
                )


def _is_taken_out(path: Sequence[str], parent: Node, child: Node) -> bool:
    inherited = path[0] == "categories" and len(path) > 1 and path[1] in _categories(parent)
    return inherited and path[1] not in _categories(child)


def _shown(value: Any, other: str) -> str:
    """Returns the value if every policy could say it, else `other`.

    It may stand in a file that somebody else named, and that is no policy at all.
    """
    if value is _ABSENT or value is None:
        return "nothing"
    number = isinstance(value, (bool, int, float))
    return quoted(value) if number or (isinstance(value, str) and value in WORDS) else other


def _places(lock: str, parent: Node, child: Node) -> Sequence[tuple[str, ...]]:
    """Returns the paths to compare for `lock`: itself, and where else its value is in effect."""
    path = tuple(lock.split("."))
    if path[0] == "verdict":
        fields = [path[1]] if len(path) > 1 else list(RULE_FIELDS)
        ids = [*_categories(child), *_categories(parent)]
        same: list[tuple[str, ...]] = [
            ("categories", name, field)
            for name in dict.fromkeys(ids)
            for field in fields
            if name in _categories(child)
        ]
        return [*(("verdict", field) for field in fields), *same]
    if path == ("categories",):
        within = [place for name in _categories(parent) for place in _category(name, parent, child)]
        return [path, *within]
    if path[0] == "categories" and len(path) == 2:
        return _category(path[1], parent, child)
    return [path]


def _category(name: str, parent: Node, child: Node) -> list[tuple[str, ...]]:
    """Returns the path of every value of a category, those in effect through `verdict` as well."""
    keys = set(RULE_FIELDS)
    for document in (parent, child):
        found = _categories(document).get(name)
        keys.update(found.entries if found else ())
    return [("categories", name, key) for key in sorted(keys - {"id"})]


def _categories(document: Node) -> dict[str, Node]:
    found = {}
    for node in document.entries["categories"].items if "categories" in document.entries else ():
        name = node.entries.get("id")
        if name is not None and isinstance(name.value, str):
            found[name.value] = node
    return found


def _effective(document: Node, path: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    if path[0] == "categories" and len(path) >= 2:
        category = _categories(document).get(path[1])
        if category is None:
            # A new category under a lock on `verdict`: the parent's general value holds for it.
            general = len(path) == 3 and path[2] in RULE_FIELDS
            return _effective(document, ("verdict", path[2]), defaults) if general else _ABSENT
        return _category_value(document, category, path[2:], defaults)
    node: Node | None = document
    for step in path:
        node = node.entries.get(step) if node is not None else None
    default: Any = defaults
    for step in path:
        default = default.get(step, _ABSENT) if isinstance(default, dict) else _ABSENT
    if node is None:
        return default
    value = node.plain()
    return {**default, **value} if isinstance(default, dict) and isinstance(value, dict) else value


def _category_value(
    document: Node, category: Node, rest: tuple[str, ...], defaults: dict[str, Any]
) -> Any:
    if not rest:
        return category.plain()
    own = category.entries.get(rest[0])
    if rest[0] in RULE_FIELDS:
        if own is not None and own.value is not None:
            return own.value
        return _effective(document, ("verdict", rest[0]), defaults)
    value = own.plain() if own is not None else None
    if rest[0] in ("reason", "message") and isinstance(value, str):
        return {"en": value}
    return value or None


def _same(before: Any, after: Any) -> bool:
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _blame(child: Node, path: tuple[str, ...], at: Mark) -> Mark:
    """Returns where the child says otherwise: the value itself, else the nearest thing above it."""
    if path[0] == "categories" and len(path) > 1:
        category = _categories(child).get(path[1])
        if category is None:
            return at
        if path[-1] in category.entries or path[-1] not in RULE_FIELDS:
            return category.at(path[2:]).mark
        path = ("verdict", path[-1])
    node = child.at(path)
    return at if node is child else node.mark


def _defaults(document: Node) -> dict[str, Any]:
    """Returns what holds where `document` says nothing.

    A section that is there without a key may mean other than one that is not there: `watch`.
    """
    found = {}
    for name, field in PolicyContent.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, Section):
            default = type(default)() if name in document.entries else default
            default = default.model_dump(mode="json")
        found[name] = default
    return found
