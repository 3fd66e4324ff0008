"""A judge contrasted with itself on grey pictures: by hand, how often it looks, and what fails."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guardrail import Policy, load_policy
from guardrail.backends import Interrupted
from guardrail.cli.policy_text import summary
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.evidence import contrasted, counted
from guardrail.judging.hearing import Hearing
from guardrail.judging.judge import JudgeRequest
from guardrail.judging.patience import Patience
from guardrail.policy import decide
from guardrail.policy.lint import lint
from guardrail.policy.loader import load
from guardrail.policy.verdict import Verdict
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Picture, Turn, question
from guardrail.request.settings import GenerationSettings

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]
HALVES = Image.new("RGB", (4, 2), "red")
HALVES.paste("blue", (2, 0, 4, 2))
SHOWN = Picture(HALVES, "d")
GREY = {"counterfactual": "grey", "alpha": 1.0}


def odds(p: float) -> float:
    return math.log(p / (1 - p))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def policy_of(**judge: Any) -> Policy:
    looks = {"competence": {"evidence": "none"}, "second_look": {"picture": "none"}}
    said = {**looks, "contrast": GREY, **judge}
    found: Policy = BASELINE.model_copy(update={"judge": BASELINE.judge.model_copy(update=said)})
    return found


class Looking:
    """A judge that says what stands for each look, or raises it; it notes its looks."""

    def __init__(self, policy: Policy, kind: str = "model", near: Any = None, **says: Any) -> None:
        self.says, self.policy, self.looks = says, policy, list[str]()
        self.hearing = Hearing(policy, Chair(kind, lambda: self.judge, Patience()), near)
        self.drafts: list[Draft] = []

    def judge(self, request: JudgeRequest) -> Mapping[str, float] | float:
        look = _look_of(request.conversation)
        self.looks.append(look)
        said = self.says[look]
        if isinstance(said, Exception):
            raise said
        return said  # type: ignore[no-any-return]

    def verdicts(self, asked: Sequence[Conversation], stop: Any = None) -> list[Verdict]:
        trace = Tracing().request("m", GenerationSettings(), conversation=asked[0])
        self.drafts = [Draft(each, self.policy, "enforce", "m", trace) for each in asked]
        with trace.phase("guardrail.verdict"):
            return self.hearing.verdicts(self.drafts, None, stop)

    def verdict(self, text: str = "How?") -> Verdict:
        [found] = self.verdicts([question(text, [SHOWN])])
        return found

    def timings(self) -> set[str]:
        return set(self.drafts[0]._timings)


def _look_of(conversation: Conversation) -> str:
    if not conversation.pictures:
        return "none"
    left = conversation.pictures[0].image.getpixel((0, 0))
    return {(255, 0, 0): "whole", (0, 0, 255): "mirror"}.get(left, "grey")  # type: ignore[call-overload, no-any-return]


# By hand ---------------------------------------------------------------------------------------


def test_contrast_adds_the_difference_of_log_odds() -> None:
    found = contrasted(Verdict({"a": 0.8, "b": 0.2}), Verdict({"a": 0.5, "b": 0.5}), alpha=1.0)
    # Odds of 4 against 1, doubled in the exponent: 16 to 1, and 1 to 16.
    assert found.categories == pytest.approx({"a": 16 / 17, "b": 1 / 17})
    assert found.views == {"a": "whole, against grey", "b": "whole, against grey"}
    half = contrasted(Verdict({"a": 0.8}), Verdict({"a": 0.2}), alpha=0.5)
    assert half.categories["a"] == pytest.approx(16 / 17)  # 4 * (4 / 0.25) ** 0.5
    assert contrasted(Verdict({"a": 0.5}), Verdict({"a": 0.9}), alpha=2.0).categories[
        "a"
    ] == pytest.approx(sigmoid(-2 * odds(0.9)))


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_it_is_the_contrast_of_the_logits_of_yes_and_no(alpha: float) -> None:
    real, noised = (1.3, 0.4), (-0.2, 0.7)  # logits of yes and no
    seen, without = (Verdict({"a": sigmoid(yes - no)}) for yes, no in (real, noised))
    yes, no = ((1 + alpha) * z - alpha * other for z, other in zip(real, noised, strict=True))
    expected = math.exp(yes) / (math.exp(yes) + math.exp(no))
    found = contrasted(seen, without, alpha=alpha)
    assert found.categories["a"] == pytest.approx(expected)


def test_without_a_difference_or_alpha_nothing_changes() -> None:
    seen = Verdict({"a": 0.3, "b": 0.999})
    assert contrasted(seen, seen, alpha=10).categories == pytest.approx(seen.categories)
    other = Verdict({"a": 0.9, "b": 0.1})
    assert contrasted(seen, other, alpha=0.0).categories == pytest.approx(seen.categories)


def test_a_look_that_is_higher_never_lowers_what_counts() -> None:
    grey = Verdict({"a": 0.7})
    rising = [
        contrasted(Verdict({"a": p / 100}), grey, alpha=3.0).categories["a"] for p in range(101)
    ]
    assert rising == sorted(rising)
    assert rising[0] < 1e-6 < 1 - 1e-6 < rising[-1] <= 1


@pytest.mark.parametrize(("p", "grey"), [(1.0, 0.0), (0.0, 1.0)])
def test_certainties_stay_probabilities(p: float, grey: float) -> None:
    found = contrasted(Verdict({"a": p}), Verdict({"a": grey}), alpha=10.0)
    assert found.categories["a"] == pytest.approx(p)
    assert 0 <= found.categories["a"] <= 1


def test_what_could_not_be_judged_in_either_look_is_not_safe() -> None:
    seen = Verdict({"a": 0.1, "b": 0.1})
    assert contrasted(seen, Verdict.unavailable("late"), alpha=1.0).error == "late"
    failed = Verdict.unavailable("broken")
    assert contrasted(failed, seen, alpha=1.0).error == "broken"
    for other in (Verdict({"a": 0.1}), Verdict({"a": 0.1, "b": math.nan})):
        assert math.isnan(contrasted(seen, other, alpha=1.0).categories["b"])
    assert math.isnan(contrasted(Verdict({"a": math.nan}), seen, alpha=1.0).categories["a"])
    assert contrasted(Verdict({"a": 7.0}), seen, alpha=1.0).categories["a"] == 7.0


def test_calibration_comes_after_contrast() -> None:
    judge = policy_of(calibration={"scale": 0.5, "bias": 1.0}).judge
    found = counted(judge, Verdict({"a": 0.8}), Verdict({"a": 0.5}))
    assert odds(found.categories["a"]) == pytest.approx(0.5 * math.log(16) + 1)
    alone = counted(judge, Verdict({"a": 0.8}), None)
    assert odds(alone.categories["a"]) == pytest.approx(0.5 * math.log(4) + 1)


# Looks -----------------------------------------------------------------------------------------


def test_a_request_with_a_picture_is_looked_at_twice() -> None:
    judge = Looking(policy_of(), whole=0.8, grey=0.5)
    assert judge.verdict().p_unsafe == pytest.approx(16 / 17)
    assert judge.looks == ["whole", "grey"]
    assert "contrast_look" in judge.timings()


@pytest.mark.parametrize("off", [{"counterfactual": "none"}, {**GREY, "alpha": 0.0}])
def test_contrast_that_is_off_looks_once(off: dict[str, Any]) -> None:
    judge = Looking(policy_of(contrast=off), whole=0.8)
    assert judge.verdict().p_unsafe == 0.8
    assert judge.looks == ["whole"]
    assert "contrast_look" not in judge.timings()
    assert not BASELINE.judge.contrast.looks


def test_without_a_picture_nothing_changes() -> None:
    judge = Looking(policy_of(), none=0.8)
    [found] = judge.verdicts([question("How?")])
    assert (found.p_unsafe, found.views) == (0.8, {})
    assert judge.looks == ["none"]


@pytest.mark.parametrize("kind", ["chat", "callable"])
def test_judges_of_other_kinds_are_taken_at_their_word(kind: str) -> None:
    judge = Looking(policy_of(), kind, whole=0.8)
    assert judge.verdict().p_unsafe == 0.8
    assert judge.looks == ["whole"]


def test_a_grey_look_that_fails_is_no_verdict_and_nothing_more_is_looked_at() -> None:
    doubtful = {"picture": "mirror", "above": 0.1, "below": 0.9}
    judge = Looking(policy_of(second_look=doubtful), whole=0.1, grey=ValueError("broken"))
    found = judge.verdict("I am a doctor. How?")
    assert found.error == "the judge failed: ValueError"
    assert decide(judge.policy, found).action == "block"
    assert judge.looks == ["whole", "grey"]


def test_a_grey_look_that_leaves_a_category_out_is_no_verdict() -> None:
    judge = Looking(policy_of(), whole=0.1, grey={IDS[0]: 0.1})
    assert decide(judge.policy, judge.verdict()).label == "unavailable"


def test_a_judge_that_failed_is_not_asked_again() -> None:
    judge = Looking(policy_of(), whole=ValueError("broken"))
    assert judge.verdict().error is not None
    assert judge.looks == ["whole"]


def test_requests_of_a_run_keep_their_own_looks() -> None:
    judge = Looking(policy_of(), whole=0.8, grey=0.5, none=0.3)
    pictured = question("How?", [SHOWN])
    found = judge.verdicts([pictured, question("How?"), pictured])
    assert [each.p_unsafe for each in found] == pytest.approx([16 / 17, 0.3, 16 / 17])
    assert judge.looks == ["whole", "none", "whole", "grey", "grey"]


def test_whoever_stops_is_heard_before_the_grey_look() -> None:
    judge = Looking(policy_of(), whole=0.8, grey=0.5)
    with pytest.raises(Interrupted):
        judge.verdicts([question("How?", [SHOWN])], stop=lambda: True)
    assert judge.looks == ["whole"]


# The order of the looks --------------------------------------------------------------------------


def test_doubt_goes_by_what_was_said_and_both_looks_are_contrasted() -> None:
    look = {"picture": "mirror", "above": 0.4, "below": 0.6}
    judge = Looking(policy_of(second_look=look), whole=0.45, mirror=0.5, grey=0.8)
    found = judge.verdict()
    assert judge.looks == ["whole", "grey", "mirror"]
    mean = (odds(0.45) + odds(0.5)) / 2
    assert found.p_unsafe == pytest.approx(sigmoid(2 * mean - odds(0.8)))
    assert set(found.views.values()) == {"whole, and mirrored, against grey"}


def test_what_counts_as_unsafe_by_the_first_look_is_not_taken_back_by_the_second() -> None:
    look = {"picture": "mirror", "above": 0.4, "below": 0.6}
    judge = Looking(policy_of(second_look=look), whole=0.45, mirror=0.1, grey=0.1)
    contrast = sigmoid(2 * odds(0.45) - odds(0.1))
    assert contrast > BASELINE.verdict.unsafe_at > 0.45
    assert judge.verdict().p_unsafe == pytest.approx(contrast)


def test_views_are_contrasted_with_the_whole_unseen_and_only_raise() -> None:
    other = Picture(Image.new("RGB", (4, 2), (0, 0, 255)), "e")
    judge = Looking(policy_of(), whole=0.3, mirror=0.6, grey=0.5)
    talk = Conversation((Turn("user", (SHOWN, other, "How?")),))
    [found] = judge.verdicts([talk])
    assert judge.looks == ["whole", "grey", "whole", "mirror"]
    assert found.p_unsafe == pytest.approx(sigmoid(2 * odds(0.6) - odds(0.5)))
    assert set(found.views.values()) == {"picture 2, against grey"}


def test_competence_by_grey_pictures_takes_the_look_that_is_there() -> None:
    policy = policy_of(competence={"evidence": "picture", "above": 0.0})
    judge = Looking(policy, near=lambda rows: [True] * len(rows), whole=0.2, grey=0.5)
    found = judge.verdict()
    assert judge.looks == ["whole", "grey"]
    assert found.p_unsafe == pytest.approx(1 / 17)
    assert found.competence == pytest.approx(odds(0.5) - odds(0.2))
    assert decide(policy, found).action == "comply"


def test_whether_it_would_comply_goes_by_what_counts() -> None:
    policy = policy_of(competence={"evidence": "picture", "above": 0.0})
    judge = Looking(policy, near=lambda rows: [True] * len(rows), whole=0.3, grey=0.1)
    found = judge.verdict()  # contrasted 0.62: unsafe, so nothing has to be earned
    assert found.competence is None
    assert decide(policy, found).action == "refuse"


# In the policy -----------------------------------------------------------------------------------


def test_contrast_is_in_the_digest_of_the_policy() -> None:
    assert policy_of().digest != policy_of(contrast={**GREY, "alpha": 2.0}).digest
    assert policy_of().digest != policy_of(contrast={"counterfactual": "none"}).digest


@pytest.mark.parametrize("contrast", [{"alpha": -0.1}, {"alpha": 10.5}, {"counterfactual": "mean"}])
def test_what_a_policy_may_not_say(contrast: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="contrast"):
        policy_of(contrast=contrast)


@pytest.mark.parametrize(("kind", "ignored"), [("self", False), ("chat", True)])
def test_a_contrast_that_does_nothing_is_found(kind: str, ignored: bool, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        f"version: 1\nname: p\nextends: baseline\njudge:\n  kind: {kind}\n"
        "  contrast: {counterfactual: grey}\n"
    )
    loaded = load(path)
    checks = {each.check: each.mark.line for each in lint(loaded)}
    assert checks.get("contrast-ignored") == (6 if ignored else None)
    assert "judge contrasted with grey pictures, alpha 1" in list(summary(loaded))
