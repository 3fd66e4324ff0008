"""The single values of a policy, each as a type that is checked strictly.

No text where a number belongs, nothing blank, nothing out of range.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from guardrail.policy.faults import fault
from guardrail.policy.frozen import FrozenDict
from guardrail.policy.suggest import quoted
from guardrail.policy.template import known_fields


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


Text = Annotated[str, Strict(), Field(max_length=2000)]
Words = Annotated[Text, Field(min_length=1), AfterValidator(not_blank)]
Identifier = Annotated[
    str, Strict(), Field(pattern=r"^[a-z0-9]+([-_./][a-z0-9]+)*$", min_length=1, max_length=64)
]
CategoryId = Annotated[
    str, Strict(), Field(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", min_length=1, max_length=64)
]
Language = Annotated[str, Strict(), Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
# -0.0 becomes 0.0, so that equal policies have one digest.
Unsigned = AfterValidator(lambda number: number + 0.0)
Probability = Annotated[float, Strict(), Field(ge=0, le=1), Unsigned]
Version = Annotated[Literal[1], BeforeValidator(no_flag)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
Template = Annotated[Words, AfterValidator(known_fields)]
ByLanguage = Annotated[
    dict[Language, Words],
    BeforeValidator(lambda value: {"en": value} if isinstance(value, str) else value),
    AfterValidator(FrozenDict),
]
Templates = Annotated[
    dict[Language, Template],
    BeforeValidator(lambda value: {"en": value} if isinstance(value, str) else value),
    AfterValidator(FrozenDict),
]
