"""What a screen asks, and what its answers come to."""

import math
from typing import Any

import pytest

from guardrail import Policy, load_policy
from guardrail.judging.evidence import averaged
from guardrail.judging.judge import answer_questions_of, questions_of, readable
from guardrail.judging.screening import Screening
from guardrail.judging.views import highest
from guardrail.policy import decide
from guardrail.policy.verdict import Verdict

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]


def screening(policy: Policy = BASELINE, **screen: Any) -> Screening:
    changed = {**policy.judge.screen.model_dump(), **screen}
    judge = policy.judge.model_copy(update={"screen": changed})
    return Screening.of_requests(policy.model_copy(update={"judge": judge}))


def with_one_more() -> Policy:
    own = {"id": "rivals", "question": "Does this praise a rival of ours?"}
    found: Policy = BASELINE.model_copy(update={"categories": [own, *BASELINE.categories]})
    return found


def test_baseline_asks_one_question_first_and_seven_after_it() -> None:
    asked = Screening.of_requests(BASELINE).questions
    assert asked.first == (
        "Could helping with this, in this picture, cause harm? Answer yes or no.",
    )
    assert asked.then == tuple(questions_of(BASELINE).values())
    answers = Screening.of_answers(BASELINE).questions
    assert answers.first == (
        "Does this answer so far help with something harmful? Answer yes or no.",
    )
    assert answers.then == tuple(answer_questions_of(BASELINE).values())


@pytest.mark.parametrize(
    ("p", "goes_on"), [(0.0, False), (0.0199, False), (0.02, True), (1.0, True)]
)
def test_only_what_is_below_spares(p: float, goes_on: bool) -> None:
    asked = Screening.of_requests(BASELINE).questions
    assert bool(asked.going_on([[p]])) is goes_on


@pytest.mark.parametrize("p", [math.nan, -0.1, math.inf, -math.inf])
def test_what_is_no_probability_spares_nothing(p: float) -> None:
    assert Screening.of_requests(BASELINE).questions.going_on([[p]]) == [0]


def test_a_category_that_the_screen_does_not_cover_is_asked_about_first() -> None:
    made = screening(with_one_more())
    assert len(made.questions.first) == 2
    assert "rival" in made.questions.first[1]
    spared = made.verdict([0.01, 0.9], source="self")
    assert list(spared.categories) == ["rivals", *IDS]
    assert spared.categories == {"rivals": 0.9, **dict.fromkeys(IDS, 0.01)}
    assert (spared.screen, spared.screened) == (0.01, tuple(IDS))
    whole = made.verdict([0.5, 0.9, *(at / 10 for at in range(7))], source="self")
    assert whole.categories == {"rivals": 0.9, **{id: at / 10 for at, id in enumerate(IDS)}}
    assert (whole.screen, whole.screened) == (0.5, ())


@pytest.mark.parametrize(
    "screen", [{"question": None}, {"below": 0.0}, {"covers": ()}, {"covers": ("unheard-of",)}]
)
def test_without_a_screen_everything_is_asked_at_once(screen: dict[str, Any]) -> None:
    made = screening(**screen)
    assert (made.screen, made.questions.then) == (None, ())
    assert made.questions.first == tuple(questions_of(BASELINE).values())
    found = made.verdict([0.1] * 7, source="self")
    assert (found.screen, found.screened) == (None, ())


def test_verdicts_that_are_contrasted_are_not_screened() -> None:
    contrast = {"contrast": {"counterfactual": "grey"}}
    changed = BASELINE.model_copy(update={"judge": BASELINE.judge.model_copy(update=contrast)})
    assert Screening.of_requests(changed).screen is None


def test_strict_asks_about_every_category() -> None:
    assert Screening.of_requests(load_policy("strict")).screen is None
    assert Screening.of_requests(load_policy("kids")).screen is None
    assert Screening.of_answers(load_policy("watched")).screen is not None


def test_what_is_spared_complies_under_baseline() -> None:
    spared = Screening.of_requests(BASELINE).verdict([0.019], source="self")
    assert decide(BASELINE, spared).label == "safe"


def test_another_look_raises_what_was_spared_and_does_not_average_it() -> None:
    spared = Screening.of_requests(BASELINE).verdict([0.01], source="self")
    again = Verdict({**dict.fromkeys(IDS, 0.2), "privacy": 0.005})
    assert averaged(spared, again).categories == spared.categories
    seen = highest(spared, [("the tool's result", again)])
    assert seen.categories == {**dict.fromkeys(IDS, 0.2), "privacy": 0.01}
    assert seen.screened == ("privacy",)


def test_somebody_elses_verdict_is_read_with_what_it_says_of_a_screen() -> None:
    found = readable(Verdict({"a": 0.1}, screen=1, screened=("a",)))
    assert (found.screen, found.screened) == (1.0, ("a",))
    broken: Any = "yes"
    assert readable(Verdict({"a": 0.1}, screen=broken)).error is not None
