"""What a policy makes of a reading of the answer so far."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.policy import Policy, WatchRuling, decide_reading
from guardrail.policy.terms import ACTS, STRICTNESS_OF_ACT, Act, AnswerAction, Label
from guardrail.policy.verdict import Verdict
from guardrail.policy.watch import Watch
from guardrail.policy.watching import act_at
from tests.policy import strategies as some
from tests.policy.test_properties import prove

RANK = STRICTNESS_OF_ACT
TWO = [{"id": "a", "question": "A?"}, {"id": "b", "question": "B?", "reason": "it is b"}]


def watching(on_error: str = "block", **watch: Any) -> Policy:
    content = {"version": 1, "name": "p", "categories": TWO, "verdict": {"on_error": on_error}}
    return Policy.model_validate({**content, "watch": watch})


def read(policy: Policy, b: Any, *, last: bool = False, a: Any = 0.1) -> WatchRuling:
    return decide_reading(policy, Verdict({"a": a, "b": b}), last=last)


@pytest.mark.parametrize(
    ("p", "label", "going_on", "over"),
    [
        (0.0, "safe", "release", "release"),
        (0.3999, "safe", "release", "release"),
        (0.4, "uncertain", "hold", "release"),
        (0.4999, "uncertain", "hold", "release"),
        (0.5, "uncertain", "hold", "end"),
        (0.5999, "uncertain", "hold", "end"),
        (0.6, "unsafe", "end", "end"),
        (1, "unsafe", "end", "end"),
    ],
)
def test_what_is_uncertain_is_held_while_the_answer_grows_and_leans_once_it_is_over(
    p: float, label: str, going_on: str, over: str
) -> None:
    policy = watching(on_unsafe="end")
    assert [(r.label, r.act) for r in (read(policy, p), read(policy, p, last=True))] == [
        (label, going_on),
        (label, over),
    ]


@pytest.mark.parametrize("asked", ["replace", "end", "steer", "escalate", "record"])
def test_an_unsafe_reading_does_what_the_policy_says(asked: str) -> None:
    ruling = read(watching(on_unsafe=asked), 0.7)
    because = "b is unsafe: p 0.7 >= unsafe_at 0.6"
    assert ruling == WatchRuling(
        "unsafe", asked, "b", "watch.on_unsafe", (f"{because}, so watch.on_unsafe: {asked}",), 0.7
    )
    assert ruling.clears == (asked == "record")


def test_where_readings_are_only_recorded_nothing_is_held() -> None:
    ruling = read(watching(on_unsafe="record"), 0.5)
    assert (ruling.label, ruling.act, ruling.rule) == ("uncertain", "release", "watch.on_unsafe")
    assert "what is only recorded is not held" in ruling.reasons[0]
    assert read(watching(on_unsafe="record"), 0.5, last=True).act == "record"


@pytest.mark.parametrize(
    ("on_error", "asked", "act", "rule"),
    [
        ("block", "replace", "replace", "watch.on_unsafe"),
        ("block", "end", "end", "watch.on_unsafe"),
        ("refuse", "escalate", "escalate", "watch.on_unsafe"),
        ("block", "steer", "end", "verdict.on_error"),
        ("escalate", "record", "end", "verdict.on_error"),
        ("plain", "replace", "release", "verdict.on_error"),
        ("comply", "steer", "release", "verdict.on_error"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_what_cannot_be_read_is_closed_unless_errors_permit(
    on_error: str, asked: str, act: str, rule: str, last: bool
) -> None:
    policy = watching(on_error, on_unsafe=asked)
    for verdict in (Verdict.unavailable("late"), Verdict({}), Verdict({"b": 0.1})):
        ruling = decide_reading(policy, verdict, last=last)
        assert (ruling.label, ruling.act, ruling.rule) == ("unavailable", act, rule)
        assert ruling.unjudged == (ruling.p is None) is True
    assert decide_reading(policy, Verdict.unavailable("late")).category is None
    assert decide_reading(policy, Verdict({"b": 0.1})).category == "a"


def test_a_categorys_own_word_on_errors_counts_for_it_alone() -> None:
    content = watching("plain", on_unsafe="record").model_dump(mode="json")
    content["categories"][1]["on_error"] = "block"
    policy = Policy.model_validate(content)
    assert read(policy, 0.1, a=math.nan).act == "release"
    ruling = read(policy, math.nan)
    assert (ruling.act, ruling.rule) == ("end", "categories.b.on_error")
    assert ruling.reasons == (
        "b is unavailable: nan is not a probability, and on_error is block, "
        "so categories.b.on_error: end",
    )


@pytest.mark.parametrize("p", [math.nan, -0.01, 1.01, math.inf, None, "0.1", True, [0.1]])
def test_an_unreadable_probability_is_never_released(p: Any) -> None:
    ruling = read(watching(), p)
    assert (ruling.label, ruling.act, ruling.category) == ("unavailable", "replace", "b")


def test_the_strictest_act_wins_and_the_others_are_said() -> None:
    ruling = decide_reading(watching(), Verdict({"a": 0.5, "b": 0.9, "x": 1.0}))
    assert (ruling.act, ruling.category, ruling.p) == ("replace", "b", 0.9)
    assert ruling.reasons[1:] == (
        "a is uncertain: p 0.5 is from safe_below 0.4 to below unsafe_at 0.6, "
        "so watch.safe_below: hold",
        "category 'x' is not in this policy: ignored",
    )
    ruling = read(watching(), 0.2)
    assert (ruling.category, ruling.p, ruling.rule) == (None, 0.2, "watch.safe_below")
    assert ruling.reasons == (
        "every category is safe, the nearest is b: p 0.2 < safe_below 0.4, "
        "so watch.safe_below: release",
    )


def test_the_words_of_a_replaced_answer_are_those_of_its_category_or_of_no_verdict() -> None:
    policy = watching()
    assert policy.message_for(read(policy, 0.9)) == "I can't help with that here: it is b."
    unchecked = "I can't help with that here: I could not check that it is safe."
    assert policy.message_for(read(policy, math.nan)) == unchecked
    assert policy.message_for(decide_reading(policy, Verdict.unavailable("late"))) == unchecked


def test_the_requests_own_thresholds_memory_and_competence_do_not_count() -> None:
    content = watching().model_dump(mode="json")
    content["categories"][1] |= {"unsafe_at": 0.1, "safe_below": 0.1, "on_unsafe": "block"}
    content["session"] = {"memory": "max", "after_refusal": {"unsafe_at": 0.0}}
    policy = Policy.model_validate(content)
    verdict = Verdict({"a": 0.1, "b": 0.3}, competence=-5.0)
    assert decide_reading(policy, verdict).act == "release"


def test_a_ruling_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        read(watching(), 0.9).act = "release"  # type: ignore[misc]


def test_every_act_has_its_place_and_what_is_held_is_not_cleared() -> None:
    assert set(ACTS) == set(get_args(Act))
    found = {act for act in ACTS if WatchRuling("safe", act, None, "r", ("x",), None).clears}
    assert found == {"release", "record"}


@prove
@given(data=st.data(), policy=some.policies, last=st.booleans())
def test_any_verdict_gives_exactly_one_ruling(
    data: st.DataObject, policy: Policy, last: bool
) -> None:
    verdict = data.draw(some.verdicts(policy))
    ruling = decide_reading(policy, verdict, last=last)
    assert ruling.act in ("release", "hold", policy.watch.on_unsafe, "end")
    assert ruling.label in get_args(Label)
    assert ruling.act != "hold" or not last
    assert ruling.category in (None, *(category.id for category in policy.categories))
    assert ruling.p is None or 0 <= ruling.p <= 1
    assert ruling.reasons
    assert all(reason and "\n" not in reason for reason in ruling.reasons)
    assert f"so {ruling.rule}: {ruling.act}" in ruling.reasons[0]
    assert policy.message_for(ruling)
    for mode in ("enforce", "shadow", "off"):
        other = policy.model_copy(update={"mode": mode})
        assert decide_reading(other, verdict, last=last) == ruling


@pytest.mark.parametrize("asked", get_args(AnswerAction))
@pytest.mark.parametrize("last", [False, True])
def test_acts_only_rise_with_the_probability(asked: AnswerAction, last: bool) -> None:
    for low, high in ((0.4, 0.6), (0.5, 0.5), (0.0, 1.0)):
        watch = Watch(unsafe_at=high, safe_below=low, on_unsafe=asked)
        ranks = [RANK[act_at(watch, p / 100, last=last)[1]] for p in range(101)]
        assert ranks == sorted(ranks)


@prove
@given(data=st.data(), policy=some.policies, last=st.booleans())
def test_a_risen_probability_never_makes_the_act_milder(
    data: st.DataObject, policy: Policy, last: bool
) -> None:
    verdict = data.draw(some.sane_verdicts(policy))
    name = data.draw(st.sampled_from([category.id for category in policy.categories]))
    raised = data.draw(some.probabilities.filter(lambda p: p >= verdict.categories[name]))
    higher = replace(verdict, categories={**verdict.categories, name: raised})
    before, after = (decide_reading(policy, each, last=last) for each in (verdict, higher))
    assert RANK[after.act] >= RANK[before.act]


@prove
@given(data=st.data(), policy=some.policies, last=st.booleans())
def test_what_cannot_be_read_never_clears_an_answer_that_errors_do_not_permit(
    data: st.DataObject, policy: Policy, last: bool
) -> None:
    rule = data.draw(st.sampled_from(policy.rules))
    verdict = data.draw(some.sane_verdicts(policy))
    broken = data.draw(st.sampled_from([math.nan, -0.1, 1.1, None, "0"]))
    gone = replace(verdict, categories={**verdict.categories, rule.id: broken})
    ruling = decide_reading(policy, gone, last=last)
    assert ruling.label == "unavailable"
    if rule.actions["unavailable"] not in ("comply", "plain"):
        assert ruling.act in ("end", "escalate", "replace")
