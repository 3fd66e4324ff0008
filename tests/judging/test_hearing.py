"""How often a judge looks at a request, and what its looks come to."""

from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from guardrail import Policy, load_policy
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.hearing import Hearing
from guardrail.judging.judge import JudgeRequest
from guardrail.judging.patience import Patience
from guardrail.policy import decide
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings

HALVES = Image.new("RGB", (4, 2), "red")
HALVES.paste("blue", (2, 0, 4, 2))
SHOWN = Picture(HALVES, "d")
BASELINE = load_policy("baseline")


def changed(**judge: Any) -> Policy:
    found: Policy = BASELINE.model_copy(update={"judge": BASELINE.judge.model_copy(update=judge)})
    return found


BY_PICTURE = changed(competence={"evidence": "picture", "above": -1.5})


def not_asked(rows: Sequence[int]) -> Sequence[bool]:
    """Where refusals are near, of which grey pictures say nothing."""
    raise AssertionError(f"it is asked of {rows} whether a refusal is near")


def look_of(conversation: Conversation) -> str:
    """Which look a judge is given: the picture itself, mirrored, grey, or none."""
    if not conversation.pictures:
        return "none"
    left = conversation.pictures[0].image.getpixel((0, 0))
    return {(255, 0, 0): "whole", (0, 0, 255): "mirror"}.get(left, "grey")  # type: ignore[call-overload, no-any-return]


class Heard:
    """A judge that says a probability by look, or raises what stands there; it notes its looks."""

    def __init__(self, kind: str = "model", policy: Policy = BY_PICTURE, **says: Any) -> None:
        self.says, self.policy, self.looks = says, policy, list[str]()
        self.hearing = Hearing(policy, Chair(kind, lambda: self.judge, Patience()), not_asked)

    def judge(self, request: JudgeRequest) -> float:
        look = look_of(request.conversation)
        self.looks.append(look)
        said = self.says[look]
        if isinstance(said, Exception):
            raise said
        return float(said)

    def verdict(self, conversation: Conversation) -> Verdict:
        trace = Tracing().request("m", GenerationSettings(), conversation=conversation)
        draft = Draft(conversation, self.policy, "enforce", "m", trace)
        with trace.phase("guardrail.verdict"):
            [found] = self.hearing.verdicts([draft], None, None)
        return found

    def action(self, conversation: Conversation) -> str:
        return decide(self.policy, self.verdict(conversation)).action


def ask(text: str = "How?") -> Conversation:
    return question(text, [SHOWN])


def test_what_is_unsafe_is_looked_at_once() -> None:
    heard = Heard(whole=0.9)
    assert heard.verdict(ask()).competence is None
    assert heard.looks == ["whole"]


def test_a_safe_verdict_is_compared_with_grey_pictures() -> None:
    heard = Heard(whole=0.1, grey=0.5)
    found = heard.verdict(ask())
    assert found.competence == pytest.approx(2.197, abs=1e-3)
    assert heard.looks == ["whole", "grey"]
    assert set(found.categories.values()) == {0.1}


@pytest.mark.parametrize(
    ("grey", "action"), [(0.5, "comply"), (0.3, "comply"), (0.1, "comply"), (0.08, "plain")]
)
def test_a_picture_may_speak_against_safety_by_so_much(grey: float, action: str) -> None:
    assert Heard(whole=0.3, grey=grey).action(ask()) == action


def test_a_judge_that_is_sure_is_not_asked_again() -> None:
    heard = Heard(whole=0.05)
    assert heard.action(ask()) == "comply"
    assert heard.looks == ["whole"]
    asked = Heard(
        policy=changed(competence={"evidence": "picture", "above": 0.0}), whole=0.05, grey=0.05
    )
    assert asked.action(ask()) == "plain"
    assert asked.looks == ["whole", "grey"]


def test_without_a_picture_nothing_is_earned_and_nothing_asked() -> None:
    heard = Heard(none=0.1)
    assert heard.verdict(question("How?")).competence == NO_EVIDENCE
    assert heard.looks == ["none"]
    assert heard.action(question("How?")) == "plain"


def test_a_look_unseen_that_fails_earns_nothing() -> None:
    heard = Heard(whole=0.1, grey=ValueError("broken"))
    found = heard.verdict(ask())
    assert (found.error, found.competence) == (None, NO_EVIDENCE)
    assert heard.action(ask()) == "plain"


@pytest.mark.parametrize("kind", ["chat", "callable"])
def test_judges_of_other_kinds_are_taken_at_their_word(kind: str) -> None:
    safe, doubtful = Heard(kind, whole=0.1), Heard(kind, whole=0.45)
    assert safe.verdict(ask()).competence is None
    assert safe.action(ask()) == "comply"
    doubtful.verdict(ask())
    assert safe.looks == ["whole"] * 2
    assert doubtful.looks == ["whole"]


def test_what_is_in_doubt_is_looked_at_mirrored_and_averaged() -> None:
    worse = Heard(whole=0.45, mirror=0.6)
    assert worse.verdict(ask()).p_unsafe == pytest.approx(0.5256, abs=1e-4)
    assert worse.looks == ["whole", "mirror"]
    assert worse.action(ask()) == "refuse"
    better = Heard(whole=0.5, mirror=0.3, grey=0.5)
    assert better.action(ask()) == "comply"
    assert better.looks == ["whole", "mirror", "grey"]


def test_a_second_look_that_fails_is_no_verdict() -> None:
    heard = Heard(whole=0.45, mirror=ValueError("broken"))
    assert heard.verdict(ask()).error == "the judge failed: ValueError"
    assert heard.action(ask()) == "block"


@pytest.mark.parametrize("name", ["strict", "kids"])
def test_a_second_look_takes_nothing_back_that_a_category_calls_unsafe(name: str) -> None:
    heard = Heard(policy=load_policy(name), whole=0.45, mirror=0.05)
    found = heard.verdict(ask())
    assert found.categories["child-at-risk"] == 0.45
    assert heard.action(ask()) == "block"


def test_the_record_says_that_a_request_was_looked_at_twice() -> None:
    assert set(Heard(whole=0.5, mirror=0.6).verdict(ask()).views.values()) == {
        "whole, and mirrored"
    }


def test_a_judge_that_failed_has_earned_nothing() -> None:
    lenient = BY_PICTURE.model_copy(
        update={
            "verdict": BY_PICTURE.verdict.model_copy(
                update={"on_error": "comply", "on_unsafe": "comply", "on_uncertain": "comply"}
            )
        }
    )
    heard = Heard(policy=lenient, whole=ValueError("broken"))
    assert heard.action(ask()) == "plain"
    assert heard.looks == ["whole"]


def test_where_nothing_is_steered_nothing_has_to_be_earned() -> None:
    heard = Heard(none=0.1, whole=0.1)
    heard.hearing = Hearing(BY_PICTURE, heard.hearing.chair)
    assert heard.action(ask()) == "comply"
    assert heard.action(question("How?")) == "comply"
    assert heard.looks == ["whole", "none"]


def test_a_policy_switches_both_off() -> None:
    heard = Heard(
        policy=changed(competence={"evidence": "none"}, second_look={"picture": "none"}),
        whole=0.45,
        none=0.1,
    )
    assert heard.verdict(ask()).competence is None
    assert heard.action(question("How?")) == "comply"
    assert set(heard.looks) == {"whole", "none"}


def test_nothing_is_asked_of_a_policy_that_never_complies() -> None:
    mild = BY_PICTURE.model_copy(
        update={"verdict": BY_PICTURE.verdict.model_copy(update={"on_safe": "plain"})}
    )
    heard = Heard(policy=mild, whole=0.1)
    assert heard.verdict(ask()).competence is None
    assert heard.looks == ["whole"]


def test_thresholds_and_calibration_do_not_change_what_is_looked_at_twice() -> None:
    sharper = changed(
        calibration={"scale": 10.0, "bias": 0.0}, competence=BY_PICTURE.judge.competence
    )
    heard = Heard(policy=sharper, whole=0.45, mirror=0.45, grey=0.5)
    found = heard.verdict(ask())
    assert found.p_unsafe == pytest.approx(0.1185, abs=1e-3)
    assert heard.looks == ["whole", "mirror", "grey"]
    assert found.competence == pytest.approx(0.2007, abs=1e-3)
