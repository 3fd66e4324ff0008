"""How one document is laid over another.

- Maps merge key by key. Plain values and lists replace.
- `categories` merge by id: an entry for an inherited id changes only what it names, a new id is
  added at the end, and `enabled: false` takes an inherited category out.
- `refusals.<language>.add_phrases` is added to the phrases that stand so far.
- `locked` adds up: nothing that is inherited can be unlocked.
- `name`, `version` and `description` are a file's own.
"""

from __future__ import annotations

from dataclasses import replace

from guardrail.policy.nodes import Node
from guardrail.policy.suggest import did_you_mean, listed, quoted

OWN = ("name", "version", "description")


def lay_over(base: Node, top: Node) -> Node:
    """Returns the document `top` laid over `base`; both stay as they are."""
    merged = {key: node for key, node in base.entries.items() if key not in OWN}
    for key, node in top.entries.items():
        merged[key] = _merge_key(key, merged.get(key), node)
    order = [key for key in (*top.entries, *base.entries) if key in merged]
    return replace(top, value={key: merged[key] for key in dict.fromkeys(order)})


def _merge_key(key: str, base: Node | None, top: Node) -> Node:
    if key == "categories":
        return _categories(base, top)
    if key == "refusals":
        return _refusals(base, top)
    if base is None:
        return top
    if key == "locked" and isinstance(base.value, list) and isinstance(top.value, list):
        known = [node.value for node in base.value]
        return replace(top, value=[*base.value, *(n for n in top.value if n.value not in known)])
    return _maps(base, top)


def _maps(base: Node | None, top: Node) -> Node:
    if base is None or not isinstance(base.value, dict) or not isinstance(top.value, dict):
        return top
    merged = dict(base.value)
    for key, node in top.value.items():
        merged[key] = _maps(merged.get(key), node)
    return replace(top, value=merged)


def _id(node: Node) -> str | None:
    found = node.entries.get("id")
    return found.value if found is not None and isinstance(found.value, str) else None


def _categories(base: Node | None, top: Node) -> Node:
    if not isinstance(top.value, list):
        return top
    merged: dict[str | int, Node] = {}
    for node in base.items if base else []:
        merged[_id(node) or len(merged)] = node
    inherited = [key for key in merged if isinstance(key, str)]
    seen: set[str] = set()
    for node in top.value:
        name = _id(node)
        if name is None:
            merged[len(merged)] = node  # no id: the schema says so, at this place
            continue
        if name in seen:
            raise node.at(("id",)).mark.error(
                f"category {quoted(name)} stands twice: keep one of them"
            )
        seen.add(name)
        _put_category(merged, name, node, inherited)
    return replace(top, value=list(merged.values()))


def _put_category(
    merged: dict[str | int, Node], name: str, node: Node, inherited: list[str]
) -> None:
    entries = dict(node.entries)
    enabled = entries.pop("enabled", None)
    if enabled is not None and not isinstance(enabled.value, bool):
        raise enabled.mark.error(
            f"categories.{name}.enabled: {quoted(enabled.value)} is not accepted: "
            "accepted is true or false"
        )
    near = did_you_mean(name, inherited)
    if enabled is not None and enabled.value is False:
        if name not in inherited:
            raise node.at(("id",)).mark.error(
                f"category {quoted(name)} is not inherited, so there is nothing to switch off"
                f"{near}: accepted are {listed(inherited) or 'none'}"
            )
        del merged[name]
        return
    if name not in inherited and inherited and "question" not in entries:
        raise node.at(("id",)).mark.error(
            f"category {quoted(name)} is not inherited, so it needs a question{near}: "
            f"inherited are {listed(inherited)}"
        )
    merged[name] = _maps(merged.get(name), replace(node, value=entries))


def _refusals(base: Node | None, top: Node) -> Node:
    merged = _maps(base, top)
    if not isinstance(top.value, dict):
        return top
    languages = {}
    for language, node in merged.entries.items():
        added = node.entries.get("add_phrases")
        if added is None or not isinstance(added.value, list):
            languages[language] = node
            continue
        entries = {key: entry for key, entry in node.entries.items() if key != "add_phrases"}
        phrases = entries.get("phrases")
        if phrases is None or isinstance(phrases.value, list):
            value = [*(phrases.value if phrases else []), *added.value]
            entries["phrases"] = replace(phrases or added, value=value)
        languages[language] = replace(node, value=entries)
    return replace(merged, value=languages)
