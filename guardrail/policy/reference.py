"""Every key of a policy file: what it takes, what it means, what it does to an answer, an example.

What a key takes and means is read off the JSON Schema; what it does, and its example, stand in
`keys.yaml`. A key below a category is written `categories.<id>.on_unsafe`, one below a language
`refusals.<language>.message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from guardrail.errors import PolicyError
from guardrail.policy.checks import lockable
from guardrail.policy.document import parse_document
from guardrail.policy.json_schema import file_schema
from guardrail.policy.loader import load_policy
from guardrail.policy.merge import OWN
from guardrail.policy.policy import Policy
from guardrail.policy.shapes import Loc, Schema, Shape
from guardrail.policy.suggest import did_you_mean, quoted

BASE = "baseline"
"""The policy that examples are laid over, and whose values are told beside the defaults."""
ITEM = {"categories": "<id>", "refusals": "<language>"}
"""How what is below a category or a language is written."""
_SOME: dict[str, str | int] = {"categories": 0, "refusals": "en"}


@dataclass(frozen=True)
class Key:
    """One key of a policy file.

    Attributes:
        path: Where it stands, with dots.
        takes: What its value may be, in words.
        default: What holds without it, as it is written in a file; empty for nothing, None if its
            own keys say that, or if a file has to have it.
        baseline: The value in the policy `baseline`, where it is another one and is inherited.
        needed: Whether a file has to have it.
        lock: What `locked` must name to hold it; None if nothing does.
        means: What it is.
        does: What it does to an answer.
        example: A piece of a policy file that has it.
    """

    path: str
    takes: str
    default: str | None
    baseline: str | None
    needed: bool
    lock: str | None
    means: str
    does: str
    example: str

    @property
    def file(self) -> str:
        """The example as a whole policy file."""
        head = {"version": "1", "name": "example", "extends": BASE}
        said = {line.partition(":")[0] for line in self.example.splitlines()}
        lines = [f"{key}: {value}" for key, value in head.items() if key not in said]
        return "\n".join([*lines, self.example])


@cache
def keys() -> tuple[Key, ...]:
    """Returns every key, in the order of the schema, each section before its own keys."""
    schema = file_schema()
    told = _told()
    policy = load_policy(BASE)
    locks, base = _locks(policy), policy.model_dump(mode="json")
    return tuple(_key(schema, loc, told, locks, base) for loc in _places(schema, schema, ()))


def find_keys(asked: str) -> list[Key]:
    """Returns the keys that are meant by `asked`, the nearest meaning that there is.

    Args:
        asked: A path: then that key, and those below it. Else what a path ends with, such as
            `unsafe_at`: every key of that name.

    Raises:
        PolicyError: There is none.
    """
    known = keys()
    wanted = _plain(asked)
    below = [k for k in known if f"{_plain(k.path)}.".startswith(f"{wanted}.")]
    found = below or [k for k in known if k.path.endswith(f".{wanted}")]
    if not found:
        near = did_you_mean(asked, [*(k.path for k in known), *(_last(k.path) for k in known)])
        raise PolicyError(
            f"{quoted(asked)} is no key of a policy file{near}: `guardrail policy keys` lists them"
        )
    return found


def told_keys() -> tuple[str, ...]:
    """Returns the keys that `keys.yaml` speaks of, in its order."""
    return tuple(_told())


def _plain(path: str) -> str:
    """Returns a path without what stands for a category or a language."""
    return ".".join(part for part in path.split(".") if part not in ITEM.values())


def _last(path: str) -> str:
    return path.rpartition(".")[2]


@cache
def _told() -> dict[str, dict[str, str]]:
    name = "keys.yaml"
    data = files("guardrail.policy").joinpath(name).read_bytes()
    return dict(parse_document(data, name).plain())


def _places(root: Schema, schema: Schema, at: Loc) -> Iterator[Loc]:
    """Yields the place of every key below `at`."""
    for name in schema.get("properties", {}):
        yield (*at, name)
        for option in Shape(root, (*at, name)).options:
            if "properties" in option:
                yield from _places(root, option, (*at, name))
        if not at and name in _SOME:
            for option in Shape(root, (name, _SOME[name])).options:
                yield from _places(root, option, (name, _SOME[name]))


def _written(loc: Loc) -> str:
    if len(loc) > 1 and loc[0] in ITEM:
        loc = (loc[0], ITEM[str(loc[0])], *loc[2:])
    return ".".join(map(str, loc))


def _key(
    root: Schema, loc: Loc, told: dict[str, dict[str, str]], locks: set[str], base: dict[str, Any]
) -> Key:
    path = _written(loc)
    above = Shape(root, loc[:-1]).options[0]
    found = above["properties"][loc[-1]]
    words = told.get(path, {"does": "", "example": ""})
    needed = loc[-1] in above.get("required", ())
    default = None if needed or path in ITEM else _shown(found.get("default"))
    in_base = None if loc[0] in (*ITEM, *OWN) else _in_base(base, loc)
    return Key(
        path=path,
        takes=_takes(root, loc),
        default=default,
        baseline=None if in_base in (None, default) else in_base,
        needed=needed,
        lock=_lock(path, locks),
        means=found["description"],
        does=words["does"],
        example=words["example"].rstrip(),
    )


def _takes(root: Schema, loc: Loc) -> str:
    shape = Shape(root, loc)
    if shape.keys:
        return "a map"
    ways = []
    for option in shape.options:
        if option.get("type") == "array":
            item = Shape(root, (*loc, 0))
            ways.append("a list of maps" if item.keys else f"a list, each {item.accepted}")
        elif option.get("type") == "object":
            ways.append(_map(loc))
        elif option.get("type") != "null":
            ways.append(Shape(option).accepted)
    return " or ".join(dict.fromkeys(ways))


def _map(loc: Loc) -> str:
    if loc == ("refusals",):
        return "a map from language to a map"
    return f"a map from {'category id' if loc[-1] == 'reasons' else 'language'} to text"


def _shown(value: Any) -> str | None:
    """Returns a value as a file would say it; None for one that its own keys say."""
    if isinstance(value, dict) and value:
        return None
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _in_base(base: Any, loc: Loc) -> str | None:
    for step in loc:
        if not isinstance(base, dict) or step not in base:
            return None
        base = base[step]
    return _shown(base)


def _locks(policy: Policy) -> set[str]:
    """Returns every path that can be locked, with what stands for a category or a language."""
    found = set()
    for path in lockable(policy):
        parts = path.split(".")
        if len(parts) > 1 and parts[0] in ITEM:
            parts[1] = ITEM[parts[0]]
        found.add(".".join(parts))
    return found


def _lock(path: str, locks: set[str]) -> str | None:
    """Returns the narrowest lock that holds a key."""
    if path.endswith(".add_phrases"):
        path = path.replace("add_phrases", "phrases")
    while path and path not in locks:
        path = path.rpartition(".")[0]
    return path or None
