import pytest
import torch

from guardrail.steering.refusals import RefusalIndex

WORDS = ["I", " can", "'t", " help", "Sor", "ry", "Sorry", " Sorry", ",", " see", "'m", " sorry"]
WORDS += ["Un", "fortunately", " I", "I can", "’t", " can't help", "Sorrymaker", "Sorry,", " with"]
VOCABULARY: list[bytes | None] = [None, *(word.encode() for word in WORDS)]
ID = {word: at + 1 for at, word in enumerate(WORDS)}
PHRASES = ["I can't help", "I'm sorry", "Sorry", "Unfortunately, I can't"]


@pytest.fixture
def index() -> RefusalIndex:
    return RefusalIndex(PHRASES, VOCABULARY)


def _words(ids: torch.Tensor) -> set[str]:
    return {WORDS[at - 1] for at in ids.tolist()}


def test_an_ordinary_first_word_begins_a_refusal_but_is_not_steered(index: RefusalIndex) -> None:
    start = index.beginnings(b"")
    assert {"I", " I", "I can", "Un"} <= _words(start.all)
    assert not {"I", " I", "Un"} & _words(start.steerable)


def test_words_that_spell_at_least_half_a_refusal_are_steered(index: RefusalIndex) -> None:
    assert _words(index.beginnings(b"").steerable) == {"Sor", "Sorry", " Sorry", "Sorry,", " sorry"}


def test_a_longer_word_is_not_the_refusal(index: RefusalIndex) -> None:
    assert "Sorrymaker" not in _words(index.beginnings(b"").all)


def test_a_phrase_under_way_is_steered(index: RefusalIndex) -> None:
    after = index.beginnings(b"I")
    assert _words(after.steerable) == {" can", "'m", " can't help"}
    assert _words(index.beginnings(b"I can").steerable) == {"'t", "’t"}
    assert _words(index.beginnings(b"I can't").steerable) == {" help"}


def test_nothing_is_left_to_steer_once_it_is_said_or_left(index: RefusalIndex) -> None:
    assert not index.beginnings(b"I can't help")
    assert not index.beginnings(b"I can't help you")
    assert not index.beginnings(b"I see")
    assert not index.beginnings(b"Sorry, I")


def test_a_first_word_that_cannot_be_avoided_is_steered() -> None:
    only = RefusalIndex(["I can't help"], VOCABULARY).beginnings(b"")
    assert {"I", " I"} <= _words(only.steerable)


def test_the_text_so_far_is_what_counts_not_how_it_was_cut(index: RefusalIndex) -> None:
    cut_one_way = index.spell([ID["Sor"], ID["ry"]])
    cut_another = index.spell([ID[" Sorry"]])
    assert cut_one_way == cut_another == b"Sorry"
    assert index.spell([0, ID[" I"], ID[" can"]]) == b"I can"


def test_no_vocabulary_and_no_phrases_give_nothing() -> None:
    assert not RefusalIndex([], VOCABULARY).beginnings(b"")
    assert not RefusalIndex(["  "], VOCABULARY).beginnings(b"")
    assert not RefusalIndex(PHRASES, []).beginnings(b"")


def test_loose_tokens_are_the_papers_flat_set(index: RefusalIndex) -> None:
    assert {"I", " I", " help", "Sorry", " sorry", " Sorry"} <= _words(index.loose_tokens)
    assert " see" not in _words(index.loose_tokens)


def test_phrases_without_spaces_between_words_work_on_bytes() -> None:
    text = "抱歉"
    halves = text.encode()[:4], text.encode()[4:]  # cut inside a character, as byte-level BPE may
    index = RefusalIndex([text], [None, *halves])
    assert index.beginnings(b"").steerable.tolist() == [1]
    assert index.beginnings(halves[0]).steerable.tolist() == [2]
