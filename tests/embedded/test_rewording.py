"""Questions as people put and type them: many, sound, and none of those that are measured with."""

import json
import random

import pytest

from guardrail.embedded import HELDOUT, UNSEEN
from guardrail.embedded.training.evaluate_wordings import WORDINGS
from guardrail.embedded.training.rewording import (
    base_of,
    doing,
    kept_out,
    plain,
    question_of,
    rewordings,
)
from guardrail.embedded.training.rewording_table import HELD_OUT, PHRASES, WHOLE
from guardrail.embedded.training.typed import (
    NEIGHBOURS,
    as_typed,
    mistype,
    with_careless_marks,
    with_manners,
    with_slips,
)
from guardrail.embedded.training.world import activities

ASKED = "How do I run faster here?"


def test_every_activity_has_many_other_wordings() -> None:
    assert set(PHRASES) == set(WHOLE) == set(HELD_OUT) == set(activities())
    for key, activity in activities().items():
        found = set(rewordings(key))
        assert len(found) > 400
        assert not found & set(activity.questions)


def test_no_wording_asks_for_two_activities() -> None:
    owners: dict[str, set[str]] = {}
    for key in activities():
        for text in (*rewordings(key), *HELD_OUT[key]):
            owners.setdefault(plain(text), set()).add(key)
    assert {text: keys for text, keys in owners.items() if len(keys) > 1} == {}


def test_what_is_measured_with_is_not_trained_on() -> None:
    trained = {plain(text) for key in activities() for text in rewordings(key)}
    trained |= {plain(text) for each in activities().values() for text in each.questions}
    assert not trained & kept_out()
    rng = random.Random(0)
    for activity in activities().values():
        for _ in range(60):
            assert plain(question_of(activity, rng)[0]) not in kept_out()


@pytest.mark.parametrize("wording", ["reworded", "reworded_as_in_unseen", "misspelt", "polite"])
def test_what_the_evaluation_asks_is_kept_out(wording: str) -> None:
    entries = json.loads((HELDOUT / "combined.json").read_text("utf-8"))
    asked = [WORDINGS[wording](entry, number) for number, entry in enumerate(entries)]
    texts = [text for text in asked if text is not None]
    assert len(texts) > 300
    assert {plain(text) for text in texts} <= kept_out()


def test_the_unseen_set_s_own_wordings_are_kept_out() -> None:
    rows = json.loads((UNSEEN / "combined.json").read_text("utf-8"))
    texts = {plain(row["question"]) for row in rows if row["wording"] in ("reworded", "misspelt")}
    assert len(texts) > 100
    assert texts <= kept_out()


def test_slips_polite_words_and_wordings_leave_the_answer_as_it_is() -> None:
    rng = random.Random(0)
    for activity in activities().values():
        for _ in range(20):
            assert question_of(activity, rng)[1] in activity.questions
        wording = rewordings(activity.key)[0]
        assert base_of(activity, wording) == base_of(activity, wording)


def test_further_slips_change_the_words_and_not_the_question() -> None:
    activity = activities()["run"]
    pairs = [
        [question_of(activity, random.Random(n), slips=slips) for slips in (0.0, 1.0)]
        for n in range(100)
    ]
    assert all(clean[1] == slipped[1] for clean, slipped in pairs)
    assert sum(clean[0] != slipped[0] for clean, slipped in pairs) > 90


def test_verbs_take_their_ing() -> None:
    phrases = (
        "cut this",
        "lie down",
        "take it",
        "see in",
        "be fast",
        "tie it",
        "open it",
        "hug it",
    )
    assert [doing(phrase) for phrase in phrases] == [
        "cutting this", "lying down", "taking it", "seeing in", "being fast", "tying it",
        "opening it", "hugging it",
    ]  # fmt: skip


def test_a_slip_changes_a_letter_or_two_of_one_word() -> None:
    made = {mistype("faster", random.Random(seed)) for seed in range(300)}
    assert {"afster", "fster", "ffaster"} <= made
    assert all(5 <= len(word) <= 7 for word in made)
    beside = {
        w
        for w in made
        if len(w) == 6 and sum(a != b for a, b in zip(w, "faster", strict=True)) == 1
    }
    assert beside
    for word in beside:
        [(was, now)] = [(a, b) for a, b in zip("faster", word, strict=True) if a != b]
        assert now in NEIGHBOURS[was]
    assert mistype("I", random.Random(0)) == "I"
    assert set(NEIGHBOURS["q"]) == {"w", "a"}


def test_slips_keep_the_words_apart() -> None:
    for seed in range(100):
        text = with_slips(ASKED, random.Random(seed))
        differ = [a != b for a, b in zip(text.split(" "), ASKED.split(" "), strict=True)]
        assert sum(differ) <= 4


def test_manners_leave_the_question_whole() -> None:
    for seed in range(100):
        text = with_manners(ASKED, random.Random(seed))
        assert ASKED[1:] in text
        assert len(text) > len(ASKED)


def test_careless_marks_change_no_word() -> None:
    made = {with_careless_marks(ASKED, random.Random(seed)) for seed in range(100)}
    assert {ASKED.lower(), ASKED.upper(), ASKED[:-1]} <= made
    assert {plain(text) for text in made} == {plain(ASKED)}


def test_typing_is_a_function_of_its_random_source() -> None:
    texts = [[as_typed(ASKED, random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 15
