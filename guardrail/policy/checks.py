"""Checks of a policy's values against each other, as pydantic validators use them.

Each says what is wrong in one sentence; `path` points at the value to blame, for its line and
column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from guardrail.policy.message import FIELDS, template_fields
from guardrail.policy.rules import ACTIONS, FIELD_OF_LABEL, STRICTNESS
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.record.decision import Action, Label

if TYPE_CHECKING:
    from guardrail.policy.schema import Category, Policy

Path = tuple[str | int, ...]

FAULT = "policy_fault"
UNLOCKABLE = ("version", "name", "description", "locked")
_BY_SEVERITY: tuple[Label, ...] = ("safe", "uncertain", "unsafe")


def fault(message: str, *path: str | int, or_at: Path = ()) -> PydanticCustomError:
    """Returns the error to raise in a validator.

    Args:
        message: One sentence.
        path: Where it is, below the validated value.
        or_at: The other value that has a part in it, to blame if only that one is the file's own.
    """
    paths = [path, or_at] if or_at else [path]
    return PydanticCustomError(FAULT, "{message}", {"message": message, "paths": paths})


def no_flag(value: object) -> object:
    """Returns `value`, which must not be true or false: in Python, those are numbers."""
    if isinstance(value, bool):
        raise fault(f"{quoted(value)} is not accepted: accepted is a number")
    return value


def not_blank(text: str) -> str:
    """Returns `text`, which must hold more than white space."""
    if not text.strip():
        raise fault(f"{quoted(text)} is blank: accepted is text")
    return text


def known_fields(template: str) -> str:
    """Returns `template`, whose fields must be ones that a message can fill."""
    accepted = listed("{" + name + "}" for name in FIELDS)
    try:
        fields = template_fields(template)
    except ValueError:
        raise fault(
            f"the braces do not match: accepted are {accepted}; write {{{{ for a brace"
        ) from None
    for name in fields:
        if name not in FIELDS:
            shown = "{" + name + "}"
            raise fault(
                f"unknown field {shown}: accepted are {accepted}{did_you_mean(name, FIELDS)}"
            )
    return template


def unique_categories(policy: Policy) -> None:
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


def ordered_thresholds(policy: Policy) -> None:
    """Raises if `safe_below` is above `unsafe_at`, globally or in any category."""
    base = policy.verdict
    if base.safe_below > base.unsafe_at:
        why = _overlap(base.safe_below, base.unsafe_at)
        raise fault(why, "verdict", "safe_below", or_at=("verdict", "unsafe_at"))
    for index, (category, rule) in enumerate(zip(policy.categories, policy.rules, strict=True)):
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


def ordered_actions(policy: Policy) -> None:
    """Raises if an action gets more permissive as the verdict gets worse.

    INVARIANT: with this, the strictest action over all categories can only get stricter when any
    probability rises.
    """
    base = policy.verdict
    general = {label: getattr(base, FIELD_OF_LABEL[label]) for label in _BY_SEVERITY}
    _ascending(general, "", lambda field: ("verdict", field))
    for index, (category, rule) in enumerate(zip(policy.categories, policy.rules, strict=True)):
        place = partial(_place, category, index)
        _ascending(rule.actions, f"in category {rule.id}, ", place)


def _ascending(actions: Mapping[Label, Action], where: str, place: Callable[[str], Path]) -> None:
    for milder, worse in pairwise(_BY_SEVERITY):
        below, above = actions[milder], actions[worse]
        if STRICTNESS[below] > STRICTNESS[above]:
            low, high = FIELD_OF_LABEL[milder], FIELD_OF_LABEL[worse]
            raise fault(
                f"{where}{high}: {above} is more permissive than {low}: {below}, for a worse "
                f"verdict; accepted for {high} are {listed(ACTIONS[STRICTNESS[below] :])}",
                *place(high),
                or_at=place(low),
            )


def known_locks(policy: Policy) -> None:
    """Raises if a locked path names nothing in this policy."""
    choices = lockable(policy) if policy.locked else []
    for index, path in enumerate(policy.locked):
        if path not in choices:
            near = did_you_mean(path, choices)
            tops = listed(sorted({choice.split(".")[0] for choice in choices}))
            raise fault(
                f"{quoted(path)} names nothing that can be locked{near}: "
                f"accepted are dotted paths below {tops}",
                "locked",
                index,
            )


def lockable(policy: Policy) -> list[str]:
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
