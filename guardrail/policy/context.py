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
Metadata that a rule asks for and a request does not carry does not match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from guardrail.policy.faults import fault
from guardrail.policy.frozen import FrozenDict
from guardrail.policy.policy import Policy
from guardrail.policy.schema import Section
from guardrail.policy.values import Identifier, Text, Version, Words

Metadata = Mapping[str, Any]
KEYS = ("tenant", "route", "group", "language")

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
        """Returns whether a request with `metadata` meets every condition."""
        asked = {key: getattr(self, key) for key in KEYS if getattr(self, key) is not None}
        return all(
            _matches(values, metadata.get(key), prefix=key == "language")
            for key, values in {**asked, **self.labels}.items()
        )


class Choice(Section):
    """One rule of a selection: the policy for requests that meet `when`, or for all without it."""

    when: When | None = None
    policy: Words


class SelectionFile(Section):
    """What a selection file says."""

    version: Version
    name: Identifier
    description: Text = ""
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
    """

    name: str
    rules: tuple[tuple[When | None, Policy], ...]

    def choose(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy of the first rule that holds; without metadata, the default."""
        for when, policy in self.rules:
            if when is None or (metadata and when.holds(metadata)):
                return policy
        raise AssertionError("a selection has a default")  # INVARIANT: checked at load

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Every policy that may be chosen, in order."""
        return tuple(policy for _, policy in self.rules)


def _matches(accepted: Iterable[str], given: Any, *, prefix: bool) -> bool:
    values = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
    return any(
        _like(pattern, value, prefix=prefix)
        for value in values
        if isinstance(value, str)
        for pattern in accepted
    )


def _like(pattern: str, value: str, *, prefix: bool) -> bool:
    if prefix:
        pattern, value = pattern.casefold(), value.casefold().replace("_", "-")
        if value.startswith(f"{pattern}-"):
            return True
    if "*" not in pattern:
        return pattern == value
    expression = ".*".join(re.escape(part) for part in re.split(r"\*+", pattern))
    return re.fullmatch(expression, value, re.DOTALL) is not None
