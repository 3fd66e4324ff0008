"""Refusal phrases, and what counts as a refusal."""

from __future__ import annotations

import pytest

from guardrail.policy import is_refusal, load_policy
from guardrail.policy.document import parse_document
from guardrail.policy.innocent import INNOCENT
from guardrail.policy.packs import find_source
from guardrail.policy.refusals import RefusalMatcher, normalised

LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "ja", "ko", "pt", "zh")
ENGLISH = load_policy("baseline").phrases

REFUSALS = {
    "en": "I'm sorry, but I can't assist with that request.",
    "es": "Lo siento, pero no puedo ayudarte con eso.",
    "fr": "Je suis désolé, mais je ne peux pas répondre à cette demande.",
    "de": "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "pt": "Desculpe, mas não posso ajudar com isso.",
    "ko": "죄송하지만 그런 요청을 들어줄 수 없습니다.",
    "zh": "对不起，我无法提供这样的信息。",
    "ja": "申し訳ありませんが、そのリクエストにはお応えできません。",
    "ar": "عذراً، لا أستطيع مساعدتك في ذلك.",
    "hi": "मुझे खेद है, लेकिन मैं इसमें आपकी मदद नहीं कर सकता।",
}


def vocabulary(language: str) -> dict[str, object]:
    source = find_source(f"refusals/{language}")
    content: dict[str, object] = parse_document(source.read(), source.label).plain()
    return content["refusals"][language]  # type: ignore[index,no-any-return]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_finds_its_refusals_and_no_innocent_answer(language: str) -> None:
    phrases = tuple(vocabulary(language)["phrases"])  # type: ignore[arg-type]
    assert len(phrases) >= 40
    assert len({normalised(p) for p in phrases if "’" not in p}) >= len(
        [p for p in phrases if "’" not in p]
    )
    assert is_refusal(REFUSALS[language], phrases)
    assert [text for text in INNOCENT[language] if is_refusal(text, phrases)] == []


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_each_language_brings_its_message_and_reasons(language: str) -> None:
    words = vocabulary(language)
    assert "{reason}" in str(words["message"])
    assert set(words["reasons"]) == {c.id for c in load_policy("baseline").categories}  # type: ignore[call-overload]
    assert words["unchecked"]


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't help with that.",
        "I’M SORRY",
        "  \n**I cannot** do that",
        '"Sorry," she said',
        "i  can't\thelp",
        "Unfortunately, I can’t do this.",
        "I must decline.",
    ],
)
def test_case_quotes_and_marks_do_not_matter(text: str) -> None:
    assert is_refusal(text, ENGLISH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I",
        "I can see a dog.",
        "I can help. I'm sorry it took so long.",
        "Sorrylands is a town.",
        "I cannoteer",
        "The answer is: I'm sorry",
        "No.",
        "Unfortunately, it rains in the picture.",
    ],
)
def test_an_answer_that_begins_otherwise_is_none(text: str) -> None:
    assert not is_refusal(text, ENGLISH)


def test_the_openings_that_everyone_expects_are_there() -> None:
    for phrase in (
        "I'm sorry",
        "I’m sorry",
        "Sorry",
        "I can't",
        "I can’t",
        "I cannot",
        "I won't",
        "I'm not able to",
        "I am unable to",
        "I must decline",
        "Unfortunately, I can't",
        "I can't help with",
        "I cannot assist with",
        "I won't help with",
    ):
        assert phrase in ENGLISH


def test_ten_thousand_phrases_are_as_quick_as_ten() -> None:
    many = tuple(f"I will not speak of subject {number}" for number in range(10_000))
    matches = RefusalMatcher(many)
    assert matches("I will not speak of subject 9999, ever.")
    assert not matches("I will speak of subject 9999.")
    assert len(matches._lengths) <= 4  # one look-up for each length of a phrase


def test_no_phrases_find_nothing() -> None:
    assert not is_refusal("I'm sorry", ())
