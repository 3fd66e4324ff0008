"""The released code's own rules: its tokens, its phrases, and when it stops guiding."""

import pytest

from guardrail.policy import load_policy
from guardrail.steering.published_code import forcible, has_begun, sub_tokens


def test_every_sub_token_of_every_phrase_counts() -> None:
    tokens = {"I am": [7, 3], "Sorry": [9], "I": [7]}
    assert sub_tokens(tokens, tokens.__getitem__).tolist() == [3, 7, 9]
    assert sub_tokens([], tokens.__getitem__).tolist() == []


def test_phrases_that_excuse_themselves_are_preferred() -> None:
    assert forcible(["Hello", "I am SORRY", "cannot", "As an"]) == ("I am SORRY", "cannot")
    assert forcible(["Hello", "As an"]) == ("Hello", "As an")
    assert forcible([]) == ()


def test_its_list_is_held_by_the_policy() -> None:
    listed = load_policy("published-code").modulation.beginnings
    assert len(listed) == len(set(listed)) == 24
    assert len(forcible(listed)) == 11


@pytest.mark.parametrize(
    ("text", "count", "begun"),
    [
        ("You can", 2, True),
        ("You can", 1, False),  # one token that spells two words
        ("You", 2, False),
        ("you can", 2, False),
        ("I can", 2, False),
        ("", 2, False),
    ],
)
def test_guiding_ends_with_two_words_of_which_the_first_is_a_capitalised_one(
    text: str, count: int, begun: bool
) -> None:
    assert has_begun(text, count) is begun
