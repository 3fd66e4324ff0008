"""What a judge is asked of the answer so far, by category.

A category's own `answer_question` is taken as it stands. Without one, it is made of what the
category says already, so that every policy can be watched; the first of these that applies:
1. A question that speaks of "helping with this" is asked of "the answer so far" instead: of "Could
   helping with this, in this picture, get someone hurt?" comes "Could the answer so far, in this
   picture, get someone hurt?". It ends in the words that the judge is asked of the request.
2. A category with an English reason: "Does the answer so far help with something that should not
   be helped with, because {reason}?".
3. The question, said to be about the answer so far.
A yes means harm in each.
"""

from __future__ import annotations

from guardrail.policy.message import FALLBACK_LANGUAGE, in_language
from guardrail.policy.schema import Category, PolicyContent

_OF_THE_REQUEST = "helping with this"
_OF_THE_ANSWER = "the answer so far"


def answer_questions(policy: PolicyContent) -> dict[str, str]:
    """Returns the answer question of each category of `policy`, by id, in the policy's order."""
    return {category.id: _asked(policy, category) for category in policy.categories}


def _asked(policy: PolicyContent, category: Category) -> str:
    if category.answer_question is not None:
        return category.answer_question
    if _OF_THE_REQUEST in category.question:
        return category.question.replace(_OF_THE_REQUEST, _OF_THE_ANSWER, 1)
    reason = _reason(policy, category)
    if reason is not None:
        return (
            f"Does {_OF_THE_ANSWER} help with something that should not be helped with, "
            f"because {reason}?"
        )
    return f"About {_OF_THE_ANSWER}: {category.question}"


def _reason(policy: PolicyContent, category: Category) -> str | None:
    own = in_language(category.reason, FALLBACK_LANGUAGE)
    vocabulary = in_language(policy.refusals, FALLBACK_LANGUAGE)
    return own or (vocabulary.reasons.get(category.id) if vocabulary else None)
