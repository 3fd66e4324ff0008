"""What two policies would decide differently, and how they differ otherwise.

A ruling is the strictest action over the categories, so two policies decide alike exactly if each
category alone gives the same action for every probability. That is a step function with at most two
steps a category: comparing those covers every verdict there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from guardrail.policy.policy import Policy
from guardrail.policy.rules import CategoryRule
from guardrail.policy.terms import Action, Label
from guardrail.policy.watch import Watch
from guardrail.policy.watching import act_at, act_unread

Change = dict[str, Any]
T = TypeVar("T")
_UNWATCHED = ("name", "description", "version", "verdict", "categories", "locked")


def difference(old: Policy, new: Policy) -> dict[str, list[Change]]:
    """Returns what changes from `old` to `new`, as plain JSON.

    `decisions` are ranges of a category's probability (`from` included, `to` as `to_included` says)
    in which that category asks for another action or gets another label; `watch` are those in which
    a reading of the answer so far leads to another act or label; `settings` are all other values
    that differ, by path.
    """
    return {
        "decisions": list(_decisions(old, new)),
        "watch": list(_watch(old, new)),
        "settings": list(_settings(old, new)),
    }


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
    for place, was, now in _steps(edges, lambda p: (outcome(old, p), outcome(new, p))):
        yield {
            "category": old.id,
            "change": "action" if was[1] != now[1] else "label",
            **place,
            "old": {"label": was[0], "action": was[1]},
            "new": {"label": now[0], "action": now[1]},
        }


def _steps(
    edges: list[float], both: Callable[[float], tuple[T, T]]
) -> Iterator[tuple[Change, T, T]]:
    """Yields the longest ranges of p in which two step functions differ, and their values there.

    Args:
        edges: Where either may step, from 0.0 to 1.0.
        both: The values of both at p.
    """
    found: list[tuple[Change, T, T]] = []
    for start, end in zip(edges, [*edges[1:], 1.0], strict=True):
        was, now = both(start)
        if was == now:
            continue
        end_too = {"to": end, "to_included": start == end}  # the last edge: p of exactly 1
        if found and found[-1][0]["to"] == start and found[-1][1:] == (was, now):
            found[-1][0].update(end_too)
        else:
            found.append(({"from": start, **end_too}, was, now))
    yield from found


def _watch(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = old.watch, new.watch
    if before.is_off and after.is_off:
        return
    if before.is_off or after.is_off:
        present = after if before.is_off else before
        yield {
            "change": "newly watched" if before.is_off else "no longer watched",
            "every": present.every,
            "unsafe_at": present.unsafe_at,
            "on_unsafe": present.on_unsafe,
        }
        return
    for last in (False, True):
        yield from _readings(before, after, last=last)
    yield from _unread(old, new)


def _readings(old: Watch, new: Watch, *, last: bool) -> Iterator[Change]:
    watches = (old, new)
    edges = {edge for each in watches for edge in (each.unsafe_at, each.safe_below, each.middle)}
    steps = _steps(
        sorted({0.0, 1.0} | edges),
        lambda p: (act_at(old, p, last=last), act_at(new, p, last=last)),
    )
    for place, was, now in steps:
        yield {
            "change": "act" if was[1] != now[1] else "label",
            "last": last,
            **place,
            "old": {"label": was[0], "act": was[1]},
            "new": {"label": now[0], "act": now[1]},
        }


def _unread(old: Policy, new: Policy) -> Iterator[Change]:
    theirs = {rule.id: rule for rule in new.rules}
    for rule in old.rules:
        if rule.id in theirs:
            was, now = act_unread(old.watch, rule), act_unread(new.watch, theirs[rule.id])
            if was != now:
                yield {
                    "change": "unavailable",
                    "category": rule.id,
                    "old": {"label": "unavailable", "act": was},
                    "new": {"label": "unavailable", "act": now},
                }


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
    words = ("question", "answer_question", "reason", "message", "description")
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
