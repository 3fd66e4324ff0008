"""Which policy is for which request: `when:` rules on the request's metadata.

```yaml
version: 1
name: acme
select:
  - when: {tenant: kids-app}
    policy: kids
  - when: {route: /clinic/*, language: [de, fr]}
    policy: ./clinic.yaml
  - policy: baseline
```
The first rule whose every condition holds wins; the last rule has no `when` and is for all others.
Metadata that a rule asks for and a request does not carry does not match. Metadata that cannot be
compared with what a rule asks for is an error, or the strictest policy's (`on_unmatched`): a value
is text, and only of `group` and of labels there may be several, in a list, tuple or set. Nothing
is turned into text: 5 is not "5", and whoever's tenants are numbers says `str(tenant)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as shortened
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from guardrail.errors import PolicyError
from guardrail.policy.faults import fault
from guardrail.policy.frozen import FrozenDict
from guardrail.policy.policy import Policy
from guardrail.policy.section import Section
from guardrail.policy.strictness import strictest
from guardrail.policy.values import Identifier, Text, Version, Words

Metadata = Mapping[str, Any]
KEYS = ("tenant", "route", "group", "language")
_SINGLE = ("tenant", "route", "language")

OnUnmatched = Literal["error", "strictest"]

OneOf = Annotated[
    tuple[Words, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, max_length=200),
]


class When(Section):
    """Conditions on a request's metadata: all must hold, each by any of its values.

    Attributes:
        tenant: Whose request it is; `*` stands for any characters, here and in the others.
        route: The path or name of the entry point.
        group: A group that the user is in; the request may carry several.
        language: `pt` holds for `pt-BR` as well.
        labels: Other metadata, by name.
    """

    tenant: OneOf | None = None
    route: OneOf | None = None
    group: OneOf | None = None
    language: OneOf | None = None
    labels: Annotated[dict[Words, OneOf], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict
    )

    @model_validator(mode="after")
    def _asks_something(self) -> When:
        if not self.labels and all(getattr(self, key) is None for key in KEYS):
            raise fault("an empty `when` holds always: name a condition, or leave `when` out")
        return self

    def holds(self, metadata: Metadata) -> bool:
        """Returns whether a request with `metadata` meets every condition.

        Raises:
            PolicyError: That hangs on a value that cannot be compared.
        """
        found = self.compare(metadata)
        if isinstance(found, Unmatched):
            raise PolicyError(str(found))
        return found

    def compare(self, metadata: Metadata) -> bool | Unmatched:
        """Returns whether a request with `metadata` meets every condition, or the value on which
        that hangs and that cannot be compared. One condition that does not hold settles it.
        """
        if not isinstance(metadata, Mapping):
            return Unmatched(None, metadata)
        asked = [(key, getattr(self, key), True) for key in KEYS if getattr(self, key) is not None]
        labels = [(key, values, False) for key, values in self.labels.items()]
        found = [
            _matches(key, values, metadata[key], own=own) if key in metadata else False
            for key, values, own in (*asked, *labels)
        ]
        if False in found:
            return False
        return next((each for each in found if isinstance(each, Unmatched)), True)


@dataclass(frozen=True)
class Unmatched:
    """A value of a request's metadata that a rule asks about and that cannot be compared.

    Attributes:
        key: Its name; None if the metadata is no mapping at all.
        several: Whether there may be several values.
    """

    key: str | None
    value: Any
    several: bool = False

    def __str__(self) -> str:
        if self.key is None:
            return f"the metadata {shortened(self.value)} is no mapping: accepted is text by name"
        accepted = "text, or a list of texts" if self.several else "text"
        return f"the metadata's {self.key!r} is {shortened(self.value)}: accepted is {accepted}"


class Choice(Section):
    """One rule of a selection: the policy for requests that meet `when`, or for all without it.

    Attributes:
        when: Conditions on the request's metadata; the last rule, and it alone, has none.
        policy: A policy's name, or its path, relative to the selection file.
    """

    when: When | None = None
    policy: Words


class SelectionFile(Section):
    """What a selection file says.

    Attributes:
        version: The version of this format: 1.
        name: What the selection is called, in errors.
        description: What it is for; nothing is done with it.
        select: The rules, in order; the first whose every condition holds is taken.
        on_unmatched: What a request gets whose metadata a rule asks about and cannot compare, such
            as a number or a list where text is expected: `error` raises and nothing is answered,
            `strictest` takes the strictest of the selection's policies.
    """

    version: Version
    name: Identifier
    description: Text = ""
    on_unmatched: OnUnmatched = "error"
    select: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _has_one_default(self) -> SelectionFile:
        *rules, last = self.select
        for index, rule in enumerate(rules):
            if rule.when is None:
                why = "a rule without `when` takes every request, so the rules below it never apply"
                raise fault(f"{why}: move it to the end", "select", index)
        if last.when is not None:
            why = "there is no default: end the list with a rule that has a `policy` and no `when`"
            raise fault(why, "select", len(rules))
        return self


@dataclass(frozen=True)
class Selection:
    """Loaded policies, and the conditions under which each is taken.

    Attributes:
        rules: Conditions and policies in order; the last has no conditions.
        on_unmatched: What follows from metadata that cannot be compared.
    """

    name: str
    rules: tuple[tuple[When | None, Policy], ...]
    on_unmatched: OnUnmatched = "error"

    def choose(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy of the first rule that holds; without metadata, the default.

        Raises:
            PolicyError: Whether a rule holds hangs on a value that cannot be compared, and the
                selection does not take its strictest policy then.
        """
        given: Metadata = {} if metadata is None else metadata
        for when, policy in self.rules:
            found = when.compare(given) if when is not None else True
            if isinstance(found, Unmatched):
                # INVARIANT: what may be a stricter rule's is never passed on to a milder one.
                if self.on_unmatched == "strictest":
                    return self.strictest
                raise PolicyError(f"the selection {self.name!r} cannot choose a policy: {found}")
            if found:
                return policy
        raise AssertionError("a selection has a default")  # INVARIANT: checked at load

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Every policy that may be chosen, in order."""
        return tuple(policy for _, policy in self.rules)

    @cached_property
    def strictest(self) -> Policy:
        """The strictest of its policies."""
        return strictest(self.policies)


def _matches(key: str, accepted: Iterable[str], given: Any, *, own: bool) -> bool | Unmatched:
    several = not (own and key in _SINGLE)
    listed = several and isinstance(given, (list, tuple, set, frozenset))
    values = given if listed else [given]
    texts = [value for value in values if isinstance(value, str)]
    prefix = own and key == "language"
    if any(_like(pattern, value, prefix=prefix) for value in texts for pattern in accepted):
        return True
    return False if len(texts) == len(values) else Unmatched(key, given, several)


def _like(pattern: str, value: str, *, prefix: bool) -> bool:
    if prefix:
        pattern, value = pattern.casefold(), value.casefold().replace("_", "-")
        if value.startswith(f"{pattern}-"):
            return True
    if "*" not in pattern:
        return pattern == value
    expression = ".*".join(re.escape(part) for part in re.split(r"\*+", pattern))
    return re.fullmatch(expression, value, re.DOTALL) is not None
