"""The same request shown otherwise, and what the difference says."""

import math

import pytest
from PIL import Image

from guardrail.judging.evidence import SURE, averaged, competence, mirrored, unseen
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.request.conversation import Conversation, Picture, Turn, question

HALVES = Image.new("RGB", (4, 2), "red")
HALVES.paste("blue", (2, 0, 4, 2))
PICTURE = Picture(HALVES, "d")


def odds(p: float) -> float:
    return math.log(p / (1 - p))


def test_unseen_shows_grey_pictures_of_the_same_sizes_in_every_turn() -> None:
    talk = Conversation(
        (
            Turn("user", (PICTURE, "What is it?")),
            Turn("assistant", ("A flag.",)),
            Turn("user", ("And this?", PICTURE)),
        )
    )
    grey = unseen(talk)
    assert grey is not None
    assert [turn.text for turn in grey.turns] == ["What is it?", "A flag.", "And this?"]
    assert [each.image.size for each in grey.pictures] == [(4, 2), (4, 2)]
    assert {colour for each in grey.pictures for _, colour in each.image.getcolors() or ()} == {
        (127, 127, 127)
    }
    assert {each.digest for each in grey.pictures}.isdisjoint({"d"})
    assert talk.pictures == (PICTURE, PICTURE)


def test_mirrored_turns_left_to_right() -> None:
    shown = mirrored(question("Which?", [PICTURE]))
    assert shown is not None
    [picture] = shown.pictures
    assert picture.image.getpixel((0, 0)) == (0, 0, 255)
    assert picture.image.getpixel((3, 1)) == (255, 0, 0)


def test_without_a_picture_there_is_nothing_to_show() -> None:
    assert unseen(question("How?")) is None
    assert mirrored(question("How?")) is None


def test_competence_is_how_far_the_pictures_lower_the_highest_log_odds() -> None:
    seen, without = Verdict({"a": 0.1, "b": 0.02}), Verdict({"a": 0.05, "b": 0.5})
    assert competence(seen, without) == pytest.approx(odds(0.5) - odds(0.1))
    assert competence(without, seen) == pytest.approx(odds(0.1) - odds(0.5))
    assert competence(seen, seen) == 0


@pytest.mark.parametrize(
    "without",
    [
        Verdict.unavailable("the judge failed"),
        Verdict({}),
        Verdict({"a": math.nan}),
        Verdict({"a": 2}),
    ],
)
def test_what_could_not_be_judged_unseen_is_no_evidence(without: Verdict) -> None:
    assert competence(Verdict({"a": 0.1}), without) == NO_EVIDENCE


def test_certainties_are_compared_as_numbers() -> None:
    assert competence(Verdict({"a": 0.0}), Verdict({"a": 1.0})) == pytest.approx(50 - odds(SURE))
    assert competence(Verdict({"a": 0.0}), Verdict({"a": 0.0})) == 0


def test_how_sure_a_judge_is_of_safe_does_not_count() -> None:
    assert competence(Verdict({"a": 0.07}), Verdict({"a": 1e-6})) == 0
    assert competence(Verdict({"a": 0.2}), Verdict({"a": 1e-6})) == pytest.approx(
        odds(SURE) - odds(0.2)
    )


def test_two_looks_are_averaged_as_log_odds() -> None:
    found = averaged(Verdict({"a": 0.5, "b": 0.2}), Verdict({"a": 0.9, "b": 0.2}))
    assert odds(found.categories["a"]) == pytest.approx(odds(0.9) / 2)
    assert found.categories["b"] == pytest.approx(0.2)


def test_what_could_not_be_looked_at_again_is_not_safe() -> None:
    first = Verdict({"a": 0.5, "b": math.nan, "c": 0.4})
    assert averaged(first, Verdict.unavailable("late")).error == "late"
    found = averaged(first, Verdict({"a": math.nan, "b": 0.1}))
    assert all(math.isnan(p) for p in found.categories.values())


def test_grey_pictures_must_be_judged_in_every_category() -> None:
    seen = Verdict({"a": 0.3, "b": 0.2})
    assert competence(seen, Verdict({"a": 0.3, "b": math.nan})) == NO_EVIDENCE
    assert competence(seen, Verdict({"a": 0.3})) == NO_EVIDENCE
    assert competence(seen, Verdict({"a": 0.3, "b": 0.1, "c": 0.9})) == 0
