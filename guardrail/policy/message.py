"""The words of a blocked request: which template, in which language, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from guardrail.policy.ruling import Ruling, WatchRuling
from guardrail.policy.schema import PolicyContent, Vocabulary

FALLBACK_LANGUAGE = "en"

T = TypeVar("T")
AnyRuling = Ruling | WatchRuling


def in_language(words: Mapping[str, T], language: str) -> T | None:
    """Returns the entry for `language`: exactly, for its base (`pt` for `pt-BR`), or None."""
    wanted = language.replace("_", "-").casefold()
    folded = {code.casefold(): code for code in words}
    while wanted:
        if wanted in folded:
            return words[folded[wanted]]
        wanted = wanted.rpartition("-")[0]
    return None


def refusal_message(policy: PolicyContent, ruling: AnyRuling, language: str) -> str:
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


def refusal_reason(policy: PolicyContent, ruling: AnyRuling, language: str) -> str:
    """Returns the words for why: the category's, or those for a verdict that could not be had."""
    category = next((c for c in policy.categories if c.id == ruling.category), None)
    if ruling.unjudged or category is None:
        return _vocabulary(policy, language).unchecked
    for code in (language, FALLBACK_LANGUAGE):
        own = in_language(category.reason, code)
        vocabulary = in_language(policy.refusals, code)
        words = own or (vocabulary.reasons.get(category.id) if vocabulary else None)
        if words:
            return words
    return next(iter(category.reason.values()), category.id.replace("-", " "))


def _vocabulary(policy: PolicyContent, language: str) -> Vocabulary:
    found = in_language(policy.refusals, language) or in_language(
        policy.refusals, FALLBACK_LANGUAGE
    )
    return found or next((policy.refusals[code] for code in sorted(policy.refusals)), Vocabulary())


def _filled(template: str, policy: PolicyContent, ruling: AnyRuling, language: str) -> str:
    return template.format(
        reason=refusal_reason(policy, ruling, language), category=ruling.category or "none"
    )
