"""The template of a refusal's words: which fields may stand in it."""

from __future__ import annotations

from string import Formatter

from guardrail.policy.faults import fault
from guardrail.policy.suggest import did_you_mean, listed

FIELDS = ("reason", "category")


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


def template_fields(template: str) -> list[str]:
    """Returns the fields of a template in their order, with their conversions and formats.

    Raises:
        ValueError: If braces do not match.
    """
    fields = []
    for _, name, spec, conversion in Formatter().parse(template):
        if name is not None:
            fields.append(
                name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            )
    return fields
