"""The words of a blocked request: templates, and which language is taken."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from guardrail.policy.evaluation import Ruling
    from guardrail.policy.schema import Policy, Vocabulary

FIELDS = ("reason", "category")
FALLBACK_LANGUAGE = "en"

T = TypeVar("T")


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


def in_language(words: Mapping[str, T], language: str) -> T | None:
    """Returns the entry for `language`: exactly, for its base (`pt` for `pt-BR`), or None."""
    wanted = language.replace("_", "-").casefold()
    folded = {code.casefold(): code for code in words}
    while wanted:
        if wanted in folded:
            return words[folded[wanted]]
        wanted = wanted.rpartition("-")[0]
    return None


def refusal_message(policy: Policy, ruling: Ruling, language: str) -> str:
    """Returns the message for a ruling: the category's own, else the vocabulary's, filled in."""
    category = next((c for c in policy.categories if c.id == ruling.category), None)
    for code in (language, FALLBACK_LANGUAGE):
        own = in_language(category.message, code) if category else None
        vocabulary = in_language(policy.refusals, code)
        template = own or (vocabulary.message if vocabulary else None)
        if template:
            return _filled(template, policy, ruling, code)
    first = next(iter(sorted(policy.refusals)), FALLBACK_LANGUAGE)
    return _filled(_vocabulary(policy, first).message, policy, ruling, first)


def refusal_reason(policy: Policy, ruling: Ruling, language: str) -> str:
    """Returns the words for why: the category's, or those for a verdict that could not be had."""
    category = next((c for c in policy.categories if c.id == ruling.category), None)
    if (ruling.label == "unavailable" and ruling.rule.endswith("on_error")) or category is None:
        return _vocabulary(policy, language).unchecked
    for code in (language, FALLBACK_LANGUAGE):
        own = in_language(category.reason, code)
        vocabulary = in_language(policy.refusals, code)
        words = own or (vocabulary.reasons.get(category.id) if vocabulary else None)
        if words:
            return words
    return next(iter(category.reason.values()), category.id.replace("-", " "))


def _vocabulary(policy: Policy, language: str) -> Vocabulary:
    from guardrail.policy.schema import Vocabulary

    found = in_language(policy.refusals, language) or in_language(
        policy.refusals, FALLBACK_LANGUAGE
    )
    return found or next((policy.refusals[code] for code in sorted(policy.refusals)), Vocabulary())


def _filled(template: str, policy: Policy, ruling: Ruling, language: str) -> str:
    return template.format(
        reason=refusal_reason(policy, ruling, language), category=ruling.category or "none"
    )
