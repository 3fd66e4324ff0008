"""What a safe verdict earns by a request's being familiar, and that nothing else earns anything."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from guardrail.backends import Interrupted
from guardrail.errors import JudgeError
from guardrail.judging.chair import Chair
from guardrail.judging.earning import Earning
from guardrail.judging.patience import Patience
from guardrail.policy import decide
from guardrail.policy.evaluation import UNEARNED
from guardrail.policy.verdict import NO_EVIDENCE
from tests.judging.earning_made import BASELINE, FEWEST, World, earned_by, reference

# What is earned ------------------------------------------------------------------------------


def test_a_familiar_request_earns_its_compliance() -> None:
    [verdict], _ = World().heard("plain")
    assert verdict.evidence == {"request": verdict.competence}
    assert verdict.competence == pytest.approx(0.92, abs=0.01)  # 0.02 of distances up to 0.25
    assert decide(BASELINE, verdict).action == "comply"


def test_an_unfamiliar_request_earns_nothing() -> None:
    [verdict], drafts = World().heard("odd")
    assert verdict.evidence == {"request": pytest.approx(1 / (FEWEST + 1))}
    ruling = decide(BASELINE, verdict)
    assert (ruling.action, ruling.rule) == ("plain", UNEARNED)
    assert "unlike those that the model was tried on" in ruling.reasons[0]
    assert drafts[0]._errors == []


def test_where_a_refusal_is_near_the_picture_has_to_be_described() -> None:
    world = World()
    [verdict], _ = world.heard("near")
    assert verdict.evidence == {
        "request": pytest.approx(0.92, abs=0.01),
        "description": pytest.approx(0.5, abs=0.01),
    }
    assert verdict.competence == verdict.evidence["description"]
    assert decide(BASELINE, verdict).action == "comply"
    assert world.described == [["near"]]


def test_a_model_that_is_unsure_of_what_it_sees_earns_nothing() -> None:
    [verdict], _ = World().heard("near, blurred")
    assert verdict.competence == verdict.evidence["description"] == pytest.approx(1 / (FEWEST + 1))
    ruling = decide(BASELINE, verdict)
    assert ruling.action == "plain"
    assert "less sure of what it sees" in ruling.reasons[0]


def test_competence_is_the_least_of_the_evidence() -> None:
    known = reference()
    sure = replace(known, surprisals=known.surprisals + 9)
    [verdict], _ = World(sure).heard("near")
    assert verdict.evidence["description"] == 1
    assert verdict.competence == verdict.evidence["request"] < 1


# What is not looked at -----------------------------------------------------------------------


def test_nothing_is_described_where_no_refusal_is_near() -> None:
    world = World()
    assert world.ruled("blurred") == ["comply"]
    assert world.described == []
    assert world.asked_near == [0]


def test_nothing_is_described_and_no_refusal_looked_for_where_the_request_is_unfamiliar() -> None:
    world = World()
    assert world.ruled("near, odd") == ["plain"]
    assert world.described == []
    assert world.asked_near == []


def test_a_request_without_a_picture_has_none_to_describe() -> None:
    world = World()
    assert world.ruled("near, blind", "blind, odd") == ["comply", "plain"]
    assert world.described == []
    assert world.asked_near == []


def test_a_request_of_another_shape_than_was_tried_earns_nothing() -> None:
    world = World(reference(shapes={"1 picture": 2 * FEWEST, "no picture": 2 * FEWEST - 4}))
    verdicts, _ = world.heard("near, blind", "near")
    assert verdicts[0].evidence == {"request": 0.0}
    assert [decide(BASELINE, each).action for each in verdicts] == ["plain", "comply"]


def test_what_is_not_complied_with_earns_nothing_and_costs_nothing() -> None:
    world = World()
    verdicts, drafts = world.heard("harmful, near", "harmful")
    assert [each.competence for each in verdicts] == [None, None]
    assert drafts[0]._errors == []
    assert world.run.prefilled == 0


@pytest.mark.parametrize("kind", ["chat", "callable"])
def test_judges_of_other_kinds_are_taken_at_their_word(kind: str) -> None:
    world = World(AssertionError("the reference was looked at"), kind=kind)
    assert world.ruled("odd") == ["comply"]


def test_a_policy_that_asks_for_no_evidence_takes_every_verdict_at_its_word() -> None:
    world = World(AssertionError("the reference was looked at"), earned_by(evidence="none"))
    [verdict], _ = world.heard("odd")
    assert (verdict.competence, verdict.evidence) == (None, {})


# In a batch ----------------------------------------------------------------------------------


def test_each_request_of_a_batch_gets_its_own_evidence() -> None:
    world = World()
    texts = [
        "harmful, near",
        "near, blurred",
        "odd",
        "near",
        "blurred",
        "harmful, odd",
        "near, blind",
        "near, odd",
        "near, sharp",
    ]
    verdicts, _ = world.heard(*texts)
    found = [sorted(each.evidence) for each in verdicts]
    assert found == [
        [],
        ["description", "request"],
        ["request"],
        ["description", "request"],
        ["request"],
        [],
        ["request"],
        ["request"],
        ["description", "request"],
    ]
    assert [decide(BASELINE, each).action for each in verdicts] == [
        "refuse", "plain", "plain", "comply", "comply", "refuse", "comply", "plain", "comply"
    ]  # fmt: skip
    assert world.described == [["near, blurred", "near", "near, sharp"]]
    assert world.asked_near == [1, 3, 4, 8]
    for text, verdict in zip(texts, verdicts, strict=True):
        if verdict.evidence:
            alone = World().heard(text)[0][0]
            assert (alone.competence, alone.evidence) == (verdict.competence, verdict.evidence)


def test_how_long_a_description_takes_is_noted_for_those_described() -> None:
    _, drafts = World().heard("near", "plain")
    assert ["description" in each._timings for each in drafts] == [True, False]


# What cannot be measured ---------------------------------------------------------------------


def test_without_a_reference_nothing_is_earned_and_no_error_noted() -> None:
    world = World()
    world.has_reference = False
    [verdict], drafts = world.heard("plain")
    assert (verdict.competence, verdict.evidence) == (NO_EVIDENCE, {})
    ruling = decide(BASELINE, verdict)
    assert ruling.action == "plain"
    assert "nothing says what requests this model was tried on" in ruling.reasons[0]
    assert drafts[0]._errors == []
    assert world.run.prefilled == 0


def test_who_has_no_model_that_answers_earns_nothing_by_its_description() -> None:
    world = World()
    world.answers = False
    [near, plain], _ = world.heard("near", "plain")
    assert near.evidence["description"] == 0
    assert [decide(BASELINE, each).action for each in (near, plain)] == ["plain", "comply"]


@pytest.mark.parametrize(
    ("fails", "error", "why"),
    [
        ("reference", JudgeError("'r' is no reference: torn"), "'r' is no reference: torn"),
        ("reference", OSError("words of others"), "OSError"),
        ("prefill", torch.OutOfMemoryError("words of others"), "OutOfMemoryError"),
        ("prefill", MemoryError(), "MemoryError"),
        ("near", RuntimeError("words of others"), "RuntimeError"),
        ("describing", torch.OutOfMemoryError("words of others"), "OutOfMemoryError"),
        ("describing", ZeroDivisionError("words of others"), "ZeroDivisionError"),
    ],
)
def test_whatever_fails_while_it_is_measured_earns_nothing(
    fails: str, error: Exception, why: str
) -> None:
    world = World(error) if fails == "reference" else World(**{fails: error})
    verdicts, drafts = world.heard("near", "harmful", "plain")
    assert [each.competence for each in verdicts] == [NO_EVIDENCE, None, NO_EVIDENCE]
    assert [decide(BASELINE, each).action for each in verdicts] == ["plain", "refuse", "plain"]
    note = f"competence was not measured: {why}"
    assert [each._errors for each in drafts] == [[note], [], [note]]


@pytest.mark.parametrize("fails", ["prefill", "near", "describing"])
def test_a_stop_is_passed_on(fails: str) -> None:
    with pytest.raises(Interrupted):
        World(**{fails: Interrupted()}).heard("near")


def test_a_stop_while_a_picture_is_described_is_passed_on() -> None:
    with pytest.raises(Interrupted):
        World().heard("near", stop=lambda: True)


def test_a_reference_that_cannot_resolve_what_is_asked_for_earns_nothing() -> None:
    world = World(reference(requests=FEWEST - 2))
    [verdict], drafts = world.heard("plain")
    assert verdict.competence == NO_EVIDENCE
    assert drafts[0]._errors == [
        "competence was not measured: the reference has 998 requests, too few for a p of 0.001"
    ]
    assert World(reference(requests=FEWEST - 1)).ruled("plain") == ["comply"]


@pytest.mark.parametrize("count", [0, 3, FEWEST - 2])
def test_too_few_descriptions_tell_of_none_whether_it_is_sure(count: int) -> None:
    world = World(reference(descriptions=count))
    [near, plain], drafts = world.heard("near", "plain")
    assert near.evidence["description"] == 0
    assert [decide(BASELINE, each).action for each in (near, plain)] == ["plain", "comply"]
    assert world.described == []
    assert [each._errors for each in drafts] == [
        [f"the reference has {count} descriptions, too few for a p of 0.001"],
        [],
    ]


def test_a_judge_that_failed_has_earned_nothing_in_whatever_company() -> None:
    rules = {"on_error": "comply", "on_uncertain": "comply", "on_unsafe": "comply"}
    lenient = BASELINE.model_copy(update={"verdict": BASELINE.verdict.model_copy(update=rules)})
    world = World(policy=lenient)
    [failed, fine], _ = world.heard("nonsense, near", "near")
    assert (failed.competence, failed.evidence) == (NO_EVIDENCE, {})
    assert [decide(lenient, each).action for each in (failed, fine)] == ["plain", "comply"]
    assert world.described == [["near"]]


def test_nothing_is_measured_of_nobody() -> None:
    def looked(*given: Any) -> Any:
        raise AssertionError("nobody was to be looked at")

    for policy in (BASELINE, earned_by(evidence="picture", above=-1.5)):
        earning = Earning(policy, Chair("model", looked, Patience(), looked, looked), looked)
        assert earning.measured([], {}, None, look=looked, stop=None) == {}
