"""Checks of a policy's values against each other, as its validator uses them.

Each raises a fault: what is wrong in one sentence, and the path of the value to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

from guardrail.policy.faults import Path, fault
from guardrail.policy.rules import CategoryRule
from guardrail.policy.schema import Category, PolicyContent
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.policy.terms import ACTIONS, FIELD_OF_LABEL, STRICTNESS, Action, Label

UNLOCKABLE = ("version", "name", "description", "locked")
_BY_SEVERITY: tuple[Label, ...] = ("safe", "uncertain", "unsafe")


def unique_categories(policy: PolicyContent) -> None:
    """Raises if two categories share an id."""
    seen: set[str] = set()
    for index, category in enumerate(policy.categories):
        if category.id in seen:
            raise fault(
                f"category {quoted(category.id)} stands twice: keep one of them",
                "categories",
                index,
                "id",
            )
        seen.add(category.id)


def ordered_thresholds(policy: PolicyContent, rules: Sequence[CategoryRule]) -> None:
    """Raises if `safe_below` is above `unsafe_at`: globally, in any category, or in watching."""
    for name in ("verdict", "watch"):
        base = getattr(policy, name)
        if base.safe_below > base.unsafe_at:
            keys = ["safe_below", "unsafe_at"]
            keys.sort(key=lambda key: key not in base.model_fields_set)  # what somebody wrote first
            why = _overlap(base.safe_below, base.unsafe_at)
            raise fault(why, name, keys[0], or_at=(name, keys[1]))
    for index, (category, rule) in enumerate(zip(policy.categories, rules, strict=True)):
        if rule.safe_below > rule.unsafe_at:
            low, high = (_place(category, index, key) for key in ("safe_below", "unsafe_at"))
            path, other = (high, low) if low[0] == "verdict" else (low, high)
            hint = f" ({'.'.join(map(str, other))})" if other[0] == "verdict" else ""
            message = (
                f"in category {category.id}, {_overlap(rule.safe_below, rule.unsafe_at)}{hint}"
            )
            raise fault(message, *path, or_at=other)


def _place(category: Category, index: int, key: str) -> Path:
    """Returns the path of the value that is in effect for `key` in a category."""
    return ("verdict", key) if getattr(category, key) is None else ("categories", index, key)


def _overlap(safe_below: float, unsafe_at: float) -> str:
    return (
        f"the thresholds overlap: safe_below {safe_below:g} is above unsafe_at {unsafe_at:g}; "
        "accepted is safe_below <= unsafe_at"
    )


def ordered_actions(policy: PolicyContent, rules: Sequence[CategoryRule]) -> None:
    """Raises if an action gets more permissive as the verdict gets worse.

    INVARIANT: with this, the strictest action over all categories can only get stricter when any
    probability rises.
    """
    base = policy.verdict
    general = {label: getattr(base, FIELD_OF_LABEL[label]) for label in _BY_SEVERITY}
    if base.on_uncertain == "lean":  # to the one or the other: it lies between them
        del general["uncertain"]
    _ascending(general, "", lambda field: ("verdict", field))
    for index, (category, rule) in enumerate(zip(policy.categories, rules, strict=True)):
        place = partial(_place, category, index)
        asked = {label: action for label, action in rule.actions.items() if label in _BY_SEVERITY}
        if rule.leans:
            del asked["uncertain"]
        _ascending(asked, f"in category {rule.id}, ", place)


def _ascending(actions: Mapping[Label, Action], where: str, place: Callable[[str], Path]) -> None:
    for milder, worse in pairwise(label for label in _BY_SEVERITY if label in actions):
        below, above = actions[milder], actions[worse]
        if STRICTNESS[below] > STRICTNESS[above]:
            low, high = FIELD_OF_LABEL[milder], FIELD_OF_LABEL[worse]
            raise fault(
                f"{where}{high}: {above} is more permissive than {low}: {below}, for a worse "
                f"verdict; accepted for {high} are {listed(ACTIONS[STRICTNESS[below] :])}",
                *place(high),
                or_at=place(low),
            )


def known_locks(policy: PolicyContent) -> None:
    """Raises if a locked path names nothing in this policy."""
    choices = lockable(policy) if policy.locked else []
    for index, path in enumerate(policy.locked):
        if path not in choices:
            tops = listed(sorted({choice.split(".")[0] for choice in choices}))
            near = _near(path, choices, [each.id for each in policy.categories])
            raise fault(
                f"{quoted(path)} names nothing that can be locked{near}: "
                f"accepted are dotted paths below {tops}",
                "locked",
                index,
            )


def _near(path: str, choices: list[str], ids: list[str]) -> str:
    """Returns what was probably meant by a path; two are not alike for both naming a category."""
    top, *rest = path.split(".")
    if top != "categories" or not rest or rest[0] in ids:
        return did_you_mean(path, choices)
    alike = [f"categories.{each}" for each in ids if did_you_mean(rest[0], [each])]
    if alike:
        return did_you_mean(path, [each for each in choices if each.startswith(tuple(alike))])
    return f", since there is no category {quoted(rest[0])} here, or it is switched off"


def lockable(policy: PolicyContent) -> list[str]:
    """Returns every path that may be locked."""
    models = type(policy).model_fields
    tops = [name for name in models if name not in UNLOCKABLE]
    paths = list(tops)
    for name in tops:
        value = getattr(policy, name)
        if name == "categories":
            for category in policy.categories:
                stem = f"categories.{category.id}"
                fields = [f for f in type(category).model_fields if f != "id"]
                paths += [stem, *(f"{stem}.{field}" for field in fields)]
        elif name == "refusals":
            for language, vocabulary in policy.refusals.items():
                stem = f"refusals.{language}"
                paths += [stem, *(f"{stem}.{field}" for field in type(vocabulary).model_fields)]
        elif hasattr(type(value), "model_fields"):
            paths += [f"{name}.{field}" for field in type(value).model_fields]
    return paths
