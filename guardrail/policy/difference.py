"""What two policies would decide differently, and how they differ otherwise.

A ruling is the strictest action over the categories, so two policies decide alike exactly if each
category alone gives the same action for every probability. That is a step function with at most two
steps a category: comparing those covers every verdict there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrail.policy.policy import Policy
from guardrail.policy.rules import CategoryRule
from guardrail.policy.terms import Action, Label

Change = dict[str, Any]
_UNWATCHED = ("name", "description", "version", "verdict", "categories", "locked")


def difference(old: Policy, new: Policy) -> dict[str, list[Change]]:
    """Returns what changes from `old` to `new`, as plain JSON.

    `decisions` are ranges of a category's probability (`from` included, `to` as `to_included` says)
    in which that category asks for another action or gets another label; `settings` are all other
    values that differ, by path.
    """
    return {"decisions": list(_decisions(old, new)), "settings": list(_settings(old, new))}


def _decisions(old: Policy, new: Policy) -> Iterator[Change]:
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            yield from _ranges(before[name], after[name])
            yield from _unavailable(before[name], after[name])
        else:
            present = before.get(name) or after[name]
            judged = "no longer judged" if name in before else "newly judged"
            yield {
                "category": name,
                "change": judged,
                "unsafe_at": present.unsafe_at,
                "on_unsafe": present.actions["unsafe"],
            }


def outcome(rule: CategoryRule, p: float) -> tuple[Label, Action]:
    """Returns the label and the action of one category for a probability in [0, 1]."""
    label = rule.label_of(p)
    return label, rule.action_at(label, p)


def _ranges(old: CategoryRule, new: CategoryRule) -> Iterator[Change]:
    """Yields the ranges of p in which the two differ; the edges are the thresholds of both."""
    rules = (old, new)
    edges = sorted(
        {0.0, 1.0}
        | {edge for rule in rules for edge in (rule.unsafe_at, rule.safe_below)}
        | {rule.middle for rule in rules if rule.leans}
    )
    found: list[Change] = []
    for start, end in zip(edges, [*edges[1:], 1.0], strict=True):
        was, now = outcome(old, start), outcome(new, start)
        if was == now:
            continue
        change = {
            "category": old.id,
            "change": "action" if was[1] != now[1] else "label",
            "from": start,
            "to": end,
            "to_included": start == end,  # the last edge: p of exactly 1
            "old": {"label": was[0], "action": was[1]},
            "new": {"label": now[0], "action": now[1]},
        }
        last = found[-1] if found else None
        same = ("change", "old", "new")
        if last and last["to"] == start and all(last[key] == change[key] for key in same):
            last.update(to=end, to_included=start == end)
        else:
            found.append(change)
    yield from found


def _unavailable(old: CategoryRule, new: CategoryRule) -> Iterator[Change]:
    was, now = old.actions["unavailable"], new.actions["unavailable"]
    if was != now:
        yield {
            "category": old.id,
            "change": "unavailable",
            "old": {"label": "unavailable", "action": was},
            "new": {"label": "unavailable", "action": now},
        }


def _settings(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for key in before:
        if key not in _UNWATCHED:
            yield from _values(before[key], after[key], key)
    words = ("question", "reason", "message", "description")
    theirs = {category["id"]: category for category in after["categories"]}
    for category in before["categories"]:
        other = theirs.get(category["id"], category)
        for word in words:
            yield from _values(category[word], other[word], f"categories.{category['id']}.{word}")
    yield from _values(before["locked"], after["locked"], "locked")


def _values(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _values(old.get(key), new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        gone = [item for item in old if item not in new]
        come = [item for item in new if item not in old]
        if gone or come:
            yield {"path": path, "removed": gone, "added": come}
    elif old != new:
        yield {"path": path, "old": old, "new": new}
