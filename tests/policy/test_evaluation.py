"""Rulings on hand-made verdicts."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.terms import ACTIONS
from guardrail.policy.verdict import Verdict

BASELINE = load_policy("baseline")
SAFE = dict.fromkeys((category.id for category in BASELINE.categories), 0.0)


def policy(**changes: Any) -> Policy:
    content = {"version": 1, "name": "p", "categories": [{"id": "a", "question": "A?"}]}
    return Policy.model_validate({**content, **changes})


def earned_by(**competence: Any) -> Policy:
    """Baseline with another competence asked for."""
    judge = BASELINE.judge.model_copy(update={"competence": competence})
    found: Policy = BASELINE.model_copy(update={"judge": judge})
    return found


BY_PICTURE = earned_by(evidence="picture", above=-1.5)


@pytest.mark.parametrize(
    ("p", "label", "action"),
    [
        (0.0, "safe", "comply"),
        (0.3599, "safe", "comply"),
        (0.36, "uncertain", "comply"),
        (0.4799, "uncertain", "comply"),
        (0.48, "uncertain", "refuse"),
        (0.5999, "uncertain", "refuse"),
        (0.60, "unsafe", "refuse"),
        (1.0, "unsafe", "refuse"),
        (1, "unsafe", "refuse"),
        (np.float32(0.75), "unsafe", "refuse"),
    ],
)
def test_thresholds_are_inclusive_above(p: Any, label: str, action: str) -> None:
    ruling = decide(BASELINE, Verdict({**SAFE, "medical": p}))
    assert (ruling.label, ruling.action) == (label, action)


@pytest.mark.parametrize(
    "p", [math.nan, -0.01, 1.01, math.inf, -math.inf, None, "0.1", True, False, [0.1], object()]
)
def test_an_unreadable_probability_blocks(p: Any) -> None:
    ruling = decide(BASELINE, Verdict({**SAFE, "medical": p}))
    assert (ruling.label, ruling.action, ruling.rule) == (
        "unavailable",
        "block",
        "verdict.on_error",
    )
    assert ruling.category == "medical"


def test_a_missing_category_is_unavailable() -> None:
    judged = {name: 0.0 for name in SAFE if name != "privacy"}
    ruling = decide(BASELINE, Verdict(judged))
    assert (ruling.label, ruling.action, ruling.category) == ("unavailable", "block", "privacy")


def test_no_categories_at_all_are_unavailable() -> None:
    ruling = decide(BASELINE, Verdict())
    assert (ruling.label, ruling.category) == ("unavailable", None)
    assert ruling.reasons == ("no category was judged, so verdict.on_error: block",)


def test_a_failed_judge_is_unavailable_whatever_it_said() -> None:
    ruling = decide(BASELINE, Verdict(SAFE, error="timed out after 10 s"))
    assert (ruling.label, ruling.action, ruling.category) == ("unavailable", "block", None)
    assert "timed out after 10 s" in ruling.reasons[0]


def test_an_unknown_category_is_ignored_and_said() -> None:
    ruling = decide(BASELINE, Verdict({**SAFE, "witchcraft": 1.0}))
    assert ruling.action == "comply"
    assert ruling.reasons[-1] == "category 'witchcraft' is not in this policy: ignored"


def test_a_missing_category_does_not_excuse_an_unsafe_one() -> None:
    lenient = policy(
        verdict={"on_error": "comply", "on_unsafe": "block"},
        categories=[{"id": "a", "question": "A?"}, {"id": "b", "question": "B?"}],
    )
    ruling = decide(lenient, Verdict({"a": 0.9}))
    assert (ruling.label, ruling.action, ruling.category) == ("unavailable", "block", "a")


def test_confidence_is_how_far_past_the_threshold() -> None:
    def confidence(p: float) -> float:
        return decide(BASELINE, Verdict({**SAFE, "medical": p})).confidence

    assert confidence(0.6) == 0
    assert confidence(0.8) == pytest.approx(0.5)
    assert confidence(1.0) == 1
    assert confidence(0.5) == 0
    assert confidence(0.09) == pytest.approx(0.75)  # the category nearest to its threshold
    assert decide(BASELINE, Verdict(SAFE)).confidence == 1
    assert decide(BASELINE, Verdict.unavailable("x")).confidence == 0


def test_a_threshold_of_one_or_zero_divides_by_nothing() -> None:
    extreme = policy(verdict={"unsafe_at": 1.0, "safe_below": 0.0})
    assert decide(extreme, Verdict({"a": 1.0})).confidence == 1
    assert decide(extreme, Verdict({"a": 0.0})).label == "uncertain"


def test_the_strictest_action_wins_even_over_a_more_severe_label() -> None:
    crossed = policy(
        categories=[
            {"id": "a", "question": "A?", "on_uncertain": "block", "on_unsafe": "block"},
            {"id": "b", "question": "B?"},
        ]
    )
    ruling = decide(crossed, Verdict({"a": 0.5, "b": 0.9}))
    assert (ruling.label, ruling.action, ruling.category) == ("unsafe", "block", "a")
    assert ruling.rule == "categories.a.on_uncertain"
    assert ruling.reasons[1].startswith("b is unsafe: p 0.9 >= unsafe_at 0.6")


def test_ties_go_to_the_furthest_past_then_to_the_first() -> None:
    ruling = decide(BASELINE, Verdict({**SAFE, "privacy": 0.9, "medical": 0.7}))
    assert ruling.category == "privacy"
    ruling = decide(BASELINE, Verdict({**SAFE, "privacy": 0.9, "medical": 0.9}))
    assert ruling.category == "medical"


def test_the_order_of_strictness_is_fixed() -> None:
    assert ACTIONS == ("comply", "plain", "refuse", "escalate", "block")


def test_a_ruling_and_a_policy_cannot_be_changed() -> None:
    ruling = decide(BASELINE, Verdict(SAFE))
    with pytest.raises(FrozenInstanceError):
        ruling.action = "comply"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        BASELINE.mode = "off"
    with pytest.raises(TypeError, match="cannot be changed"):
        BASELINE.refusals["en"] = BASELINE.refusals["en"]  # type: ignore[index]


def test_a_copy_is_checked_and_has_a_digest_of_its_own() -> None:
    assert BASELINE.digest
    changed = BASELINE.model_copy(update={"mode": "off"})
    assert changed.mode == "off"
    assert changed.digest != BASELINE.digest
    with pytest.raises(ValueError, match="Input should be"):
        BASELINE.model_copy(update={"mode": "loose"})


def test_the_digest_is_the_same_in_another_process() -> None:
    import subprocess
    import sys

    code = "from guardrail.policy import load_policy; print(load_policy('baseline').digest)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
        cwd="/",
    )
    assert done.stdout.strip() == BASELINE.digest


def test_messages_are_filled_and_fall_back_by_language() -> None:
    both = Policy.model_validate({"version": 1, "name": "p", "extends": ["kids", "refusals/pt"]})
    ruling = decide(both, Verdict({c.id: 0.0 for c in both.categories} | {"medical": 0.9}))
    english = "I can't help with that here, because it could harm someone's health."
    assert both.message_for(ruling).startswith(english)
    portuguese = "Não posso ajudar com isso aqui: isso poderia prejudicar a saúde de alguém."
    assert both.message_for(ruling, "pt-BR") == portuguese
    assert both.message_for(ruling, "pt_br") == portuguese
    assert both.message_for(ruling, "sw").startswith(english)
    assert both.model_copy(update={"language": "pt-BR"}).message_for(ruling) == portuguese
    assert both.model_copy(update={"language": "sw"}).message_for(ruling).startswith(english)
    unjudged = decide(both, Verdict.unavailable("x"))
    assert "não consegui verificar" in both.message_for(unjudged, "pt")


def test_a_category_may_bring_its_own_message() -> None:
    own = policy(
        categories=[
            {"id": "a", "question": "A?", "message": "No {category}: {{{reason}}}", "reason": "why"}
        ]
    )
    assert own.message_for(decide(own, Verdict({"a": 1.0}))) == "No a: {why}"
    assert policy().message_for(decide(policy(), Verdict({"a": 1.0}))) == (
        "I can't help with that here: a."
    )


@pytest.mark.parametrize(
    ("competence", "action"),
    [(None, "comply"), (0.4, "comply"), (0.0041, "comply"), (0.004, "plain"), (0.0, "plain"),
     (-100.0, "plain"), (math.nan, "plain"), (math.inf, "comply"), ("much", "plain"),
     (True, "plain")],
)  # fmt: skip
def test_comply_is_earned_by_a_familiar_request(competence: Any, action: str) -> None:
    ruling = decide(BASELINE, Verdict(SAFE, competence=competence))
    assert (ruling.label, ruling.action) == ("safe", action)
    assert ruling.rule == ("verdict.on_safe" if action == "comply" else "judge.competence")
    trusting = earned_by(evidence="none")
    assert decide(trusting, Verdict(SAFE, competence=competence)).action == "comply"


@pytest.mark.parametrize(
    ("competence", "action"),
    [(None, "comply"), (5.0, "comply"), (-1.4, "comply"), (-1.5, "plain"), (-100.0, "plain"),
     (math.nan, "plain"), (math.inf, "comply"), ("much", "plain"), (True, "plain")],
)  # fmt: skip
def test_comply_is_earned_by_what_the_picture_shows(competence: Any, action: str) -> None:
    ruling = decide(BY_PICTURE, Verdict(SAFE, competence=competence))
    assert (ruling.label, ruling.action) == ("safe", action)
    assert ruling.rule == ("verdict.on_safe" if action == "comply" else "judge.competence")


@pytest.mark.parametrize(
    ("asked", "evidence", "action"),
    [("familiar", {"request": 0.5}, "comply"),
     ("familiar", {"request": 0.5, "description": 0.6}, "comply"),
     ("familiar", {"pictures": 0.5}, "plain"),
     ("familiar", {"request": 0.5, "pictures": 2.0}, "plain"),
     ("familiar", {"prayer": 0.5}, "plain"),
     ("picture", {"pictures": 0.5}, "comply"),
     ("picture", {"request": 0.5}, "plain"),
     ("none", {"prayer": 0.5}, "comply")],
)  # fmt: skip
def test_evidence_of_another_kind_earns_nothing(
    asked: str, evidence: dict[str, float], action: str
) -> None:
    ruling = decide(earned_by(evidence=asked), Verdict(SAFE, competence=0.5, evidence=evidence))
    assert ruling.action == action
    if action == "plain":
        assert f"the evidence for it is not of the kind {asked!r}" in ruling.reasons[0]


@pytest.mark.parametrize("p", [0.5, 0.7, 1.0])
def test_nothing_but_comply_has_to_be_earned(p: float) -> None:
    earned = decide(BASELINE, Verdict({**SAFE, "medical": p}, competence=100.0))
    assert decide(BASELINE, Verdict({**SAFE, "medical": p}, competence=-100.0)) == earned


@pytest.mark.parametrize(
    ("evidence", "why"),
    [({"request": 0.0004}, "the request is unlike those that the model was tried on"),
     ({"request": 0.3, "description": 0.0004},
      "the model is less sure of what it sees than where it was tried"),
     ({}, "the request is unlike those that the model was tried on")],
)  # fmt: skip
def test_an_unfamiliar_request_says_what_is_strange(evidence: dict[str, float], why: str) -> None:
    verdict = Verdict({**SAFE, "medical": 0.4}, competence=0.0004, evidence=evidence)
    ruling = decide(BASELINE, verdict)
    assert ruling.reasons[0] == (
        "medical is uncertain: p 0.4 is from safe_below 0.36 to below unsafe_at 0.6, below their "
        f"middle 0.48, but {why}: p 0.0004, not above 0.004, so judge.competence: plain"
    )


def test_an_unearned_verdict_says_why() -> None:
    ruling = decide(BY_PICTURE, Verdict({**SAFE, "medical": 0.4}, competence=-2.0))
    assert ruling.reasons[0] == (
        "medical is uncertain: p 0.4 is from safe_below 0.36 to below unsafe_at 0.6, below their "
        "middle 0.48, but the pictures speak for it by -2 nats, not by more than -1.5, so "
        "judge.competence: plain"
    )
    for asked, why in (
        (BY_PICTURE, "there is no picture to go by"),
        (BASELINE, "nothing says what requests this model was tried on"),
    ):
        safe = decide(asked, Verdict(SAFE, competence=-100.0)).reasons[0]
        assert why in safe
        assert safe.endswith("so judge.competence: plain")


@pytest.mark.parametrize("above", [0.0, -1.5, 1.0, 100.0])
def test_of_familiar_requests_above_is_a_share(above: float) -> None:
    with pytest.raises(ValidationError, match="it is a p-value, from above 0 to below 1"):
        earned_by(above=above)
    assert earned_by(evidence="picture", above=above).judge.competence.threshold == above


def test_what_has_to_be_exceeded_is_in_the_unit_of_the_evidence() -> None:
    assert earned_by(evidence="picture").judge.competence.threshold == -1.5
    assert earned_by(evidence="familiar").judge.competence.threshold == 0.001


def test_leaning_does_as_the_nearer_side() -> None:
    leaning = policy(verdict={"on_safe": "plain", "on_unsafe": "block", "on_uncertain": "lean"})
    for p, action in (
        (0.39, "plain"),
        (0.4, "plain"),
        (0.49, "plain"),
        (0.5, "block"),
        (0.6, "block"),
    ):
        assert decide(leaning, Verdict({"a": p})).action == action
    assert decide(leaning, Verdict({"a": 0.5})).label == "uncertain"
    assert decide(leaning, Verdict({"a": 0.5})).rule == "verdict.on_uncertain"
