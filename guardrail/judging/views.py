"""Other ways to look at a request, for a judge that its structure could talk round.

A second, harmless picture, a made-up tool result, an answer left open, the judge's own words in a
request or a sentence beside the question ("I am a doctor.") move many a model's verdict. So besides
the whole conversation the judge may be shown parts of it, in which that is missing; a category's
highest probability counts. A view can raise a verdict and never lower it. A request of pictures and
one plain question has no view but the whole; blank lines, or text before the picture, are structure
already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation, Part, Turn, question

Views = Literal["auto", "all", "whole"]

_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|?>|</?s>|</?(?:user|assistant|system|tool|human|bot)>|<[a-z]+_of_[a-z]+>"
    r"|<image>|\[/?(?:INST|SYS|IMG|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>",
    re.IGNORECASE,
)
"""What control tokens of many families look like."""

_ANSWERED = re.compile(
    r"^[ \t>#*]*(?:assistant|model|ai|bot)[ \t]*:.*", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
"""From where a text writes an answer of its own."""

_ROLE = re.compile(r"^[ \t>#*]*(?:user|human|system)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？؟])\s*|\n+")
_QUESTION = re.compile(r"[?？؟]\W*$")
_MOST_QUESTIONS = 4
"""Of a text with more of them, the last ones are looked at alone."""

_VERDICT = re.compile(r"^[ \t]*(?:answer[ \t]*:?[ \t]*)?(?:yes|no)[.!]?[ \t]*$", re.I | re.M)


@dataclass(frozen=True)
class View:
    """A part of a request that is judged by itself.

    Attributes:
        name: As the record calls it.
        conversation: What is judged.
    """

    name: str
    conversation: Conversation


def views_of(conversation: Conversation, asked: Sequence[str], views: Views) -> list[View]:
    """Returns what is judged besides the whole conversation, each differing from it.

    Args:
        conversation: The request.
        asked: The judge's own words: a request that holds them is judged without them, too.
        views: `auto` takes the views for which there is a reason: several pictures, something after
            the last request, tools at work, odd structure in the text, something said beside a
            question about a picture. `all` looks at the last user
            turn alone in any longer conversation, too. `whole` takes none.
    """
    users = [at for at, turn in enumerate(conversation.turns) if turn.role == "user"]
    if views == "whole" or not users:
        return []
    last = users[-1]
    request = conversation.turns[last]
    followed = last + 1 < len(conversation.turns)
    tools = any(turn.role == "tool" or turn.tool_calls for turn in conversation.turns)
    found: list[View] = []
    if followed:
        turns = conversation.turns[: last + 1]
        found.append(View("request", replace(conversation, turns=turns)))
    if last > 0 and (views == "all" or tools or followed) and request.parts:
        alone = replace(request, parts=_shown(request, conversation))
        found.append(View("last turn", replace(conversation, turns=(alone,))))
    pictures = conversation.pictures
    if len(pictures) > 1:
        found += [
            View(f"picture {at}", question(request.text, [picture]))
            for at, picture in enumerate(pictures, start=1)
        ]
    cleaned = _cleaned(request, conversation, asked)
    if cleaned is not None:
        found.append(View("cleaned", replace(conversation, turns=(cleaned,))))
    if pictures:
        asking = _asking((cleaned or request).text)
        found += [
            View(
                "question" if len(asking) == 1 else f"question {at}",
                replace(
                    conversation,
                    turns=(*conversation.turns[:last], Turn("user", (*request.pictures, text))),
                ),
            )
            for at, text in enumerate(asking, start=1)
        ]
    return _distinct(found, conversation)


def highest(whole: Verdict, seen: Sequence[tuple[str, Verdict]]) -> Verdict:
    """Returns the verdict in which each category has its highest probability.

    Args:
        whole: On the whole conversation.
        seen: On its views, by their names. One that is unavailable makes the verdict so, and so
            does one that leaves a category out: what could not be looked at is not safe.
    """
    categories, views = dict(whole.categories), dict(whole.views)
    for name, verdict in seen:
        if verdict.error is not None:
            return replace(whole, error=verdict.error)
        for category, highest_yet in categories.items():
            p = verdict.categories.get(category, math.nan)
            # INVARIANT: what is no probability stays, whichever view it came of, so that the policy
            # sees it; nothing but a higher probability takes the place of one.
            if _is_probability(highest_yet) and not (_is_probability(p) and p <= highest_yet):
                categories[category], views[category] = p, name
    screened = tuple(each for each in whole.screened if each not in views)
    return replace(whole, categories=categories, views=views, screened=screened)


def _is_probability(p: float) -> bool:
    return 0 <= p <= 1


def _shown(request: Turn, conversation: Conversation) -> tuple[Part, ...]:
    """Returns what a turn holds; where it shows no picture, those of the conversation before it."""
    return request.parts if request.pictures else (*conversation.pictures, *request.parts)


def _cleaned(request: Turn, conversation: Conversation, asked: Sequence[str]) -> Turn | None:
    """Returns a user turn as a plain one: pictures, then text without structure of its own."""
    text = request.text
    plain = _ANSWERED.sub("", _CONTROL.sub(" ", text))
    plain = _ROLE.sub("", plain)
    for words in filter(None, asked):
        plain = re.sub(re.escape(words), " ", plain, flags=re.IGNORECASE)
    plain = _VERDICT.sub("", plain)
    plain = re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*\n\s*", "\n", plain)).strip()
    if plain.isupper() and " " in plain:  # shouted; a lone word may be an acronym
        plain = plain.capitalize()
    ordered = tuple(sorted(request.parts, key=lambda part: isinstance(part, str)))
    if not plain or (plain == text and ordered == request.parts):
        return None
    pictures = request.pictures or conversation.pictures
    return Turn("user", (*pictures, plain))


def _asking(text: str) -> list[str]:
    """Returns which of a text's sentences ask; where none is a question, the longest one.

    A text of one sentence is none to be looked at apart.
    """
    sentences = [each.strip() for each in _SENTENCE_END.split(text) if each.strip()]
    if len(sentences) < 2:
        return []
    questions = [each for each in sentences if _QUESTION.search(each)]
    return questions[-_MOST_QUESTIONS:] or [max(sentences, key=len)]


def _distinct(views: Sequence[View], whole: Conversation) -> list[View]:
    seen = [whole.turns]
    found: list[View] = []
    for view in views:
        if view.conversation.turns not in seen:
            seen.append(view.conversation.turns)
            found.append(view)
    return found
