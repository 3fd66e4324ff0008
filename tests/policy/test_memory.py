"""What a session remembers raises a ruling and never lowers it; a human's review does what it says.

The properties hold for any valid policy; how many examples are tried is as in `test_properties`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.errors import PolicyError
from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.evaluation import reviewed
from guardrail.policy.memory import NOTHING, Memory, Recollection, Remembered, recall, tightened
from guardrail.policy.review import Review
from guardrail.policy.ruling import Ruling
from guardrail.policy.terms import SEVERITY, STRICTNESS
from guardrail.policy.verdict import Verdict
from guardrail.record.decision import Decision, PolicyRef, VerdictRecord
from guardrail.record.memory import memory_record, recollection, ruling_again
from tests.policy import strategies as some
from tests.policy.test_properties import prove

BASELINE = load_policy("baseline")
ID = "0" * 32
SAFE = {category.id: 0.05 for category in BASELINE.categories}


def remembering(**session: Any) -> Policy:
    changed: Policy = BASELINE.model_copy(update={"session": {"memory": "max", **session}})
    return changed


def no_milder(after: Ruling, before: Ruling) -> None:
    assert STRICTNESS[after.action] >= STRICTNESS[before.action]
    assert SEVERITY[after.label] >= SEVERITY[before.label]


@prove
@given(data=st.data(), policy=some.policies)
def test_memory_never_permits_more(data: st.DataObject, policy: Policy) -> None:
    verdict, memory = data.draw(some.verdicts(policy)), data.draw(some.memories(policy))
    ruling = decide(policy, verdict, memory)
    assert ruling == decide(policy, verdict, memory)
    no_milder(ruling, decide(policy, verdict))
    assert all(reason and "\n" not in reason for reason in ruling.reasons)


@prove
@given(data=st.data(), policy=some.policies)
def test_with_memory_a_raised_probability_never_permits_more(
    data: st.DataObject, policy: Policy
) -> None:
    verdict, memory = data.draw(some.sane_verdicts(policy)), data.draw(some.memories(policy))
    name = data.draw(st.sampled_from([category.id for category in policy.categories]))
    raised = data.draw(some.probabilities.filter(lambda p: p >= verdict.categories[name]))
    after = decide(
        policy, replace(verdict, categories={**verdict.categories, name: raised}), memory
    )
    no_milder(after, decide(policy, verdict, memory))


@prove
@given(data=st.data(), policy=some.policies)
def test_more_memory_never_permits_more(data: st.DataObject, policy: Policy) -> None:
    verdict = data.draw(some.verdicts(policy))
    less, more = data.draw(some.memories(policy)), data.draw(some.memories(policy))
    both = {
        name: max(
            (held[name] for held in (less.remembered, more.remembered) if name in held),
            key=lambda each: each.p,
        )
        for name in {**less.remembered, **more.remembered}
    }
    union = Memory(both, less.refusal or more.refusal)
    no_milder(decide(policy, verdict, union), decide(policy, verdict, less))


@prove
@given(data=st.data(), policy=some.policies)
def test_a_longer_past_never_permits_more(data: st.DataObject, policy: Policy) -> None:
    verdict, past = data.draw(some.verdicts(policy)), data.draw(some.recollections(policy))
    cut = data.draw(st.integers(0, len(past)))
    no_milder(
        decide(policy, verdict, recall(policy, past)),
        decide(policy, verdict, recall(policy, past[cut:])),
    )


@prove
@given(data=st.data(), policy=some.policies)
def test_tightened_thresholds_are_no_higher_and_in_order(
    data: st.DataObject, policy: Policy
) -> None:
    for rule in policy.rules:
        lowered = tightened(rule, policy.session.after_refusal)
        assert lowered.unsafe_at <= rule.unsafe_at
        assert lowered.safe_below <= rule.safe_below
        assert lowered.safe_below <= lowered.unsafe_at


@prove
@given(data=st.data(), policy=some.policies)
def test_a_record_is_enough_to_rule_again(data: st.DataObject, policy: Policy) -> None:
    verdict, memory = data.draw(some.sane_verdicts(policy)), data.draw(some.memories(policy))
    review = data.draw(
        st.none() | st.builds(Review, request_id=st.just(ID), approved=st.booleans())
    )
    ruling = reviewed(decide(policy, verdict, memory), review)
    record = made(ruling, verdict, session=memory_record(memory), review=review)
    again = Decision.model_validate(json.loads(record.model_dump_json()))
    assert ruling_again(policy, verdict, again) == ruling


def made(ruling: Ruling, verdict: Verdict, **fields: Any) -> Decision:
    return Decision(
        request_id=ID,
        mode="enforce",
        policy=PolicyRef(name="p", version=1, digest="0"),
        verdict=VerdictRecord(label=ruling.label, categories=dict(verdict.categories)),
        action=ruling.action,
        **fields,
    )


# By example --------------------------------------------------------------------------------------


def test_a_policy_without_memory_looks_at_none() -> None:
    memory = Memory({"medical": Remembered(1.0, "a")}, "a")
    assert decide(BASELINE, Verdict(SAFE), memory) == decide(BASELINE, Verdict(SAFE))
    assert recall(BASELINE, [Recollection("a", {"medical": 1.0}, True)]) == NOTHING


def test_a_harmful_turn_still_counts_later_and_says_which_it_was() -> None:
    past = [
        Recollection("first", {**SAFE, "medical": 0.95}, True),
        Recollection("second", SAFE, False),
    ]
    policy = remembering(decay=0.9)
    ruling = decide(policy, Verdict(SAFE), recall(policy, past))
    assert (ruling.action, ruling.label, ruling.category) == ("refuse", "unsafe", "medical")
    assert ruling.reasons[0].startswith(
        "medical is unsafe: p 0.7695 (remembered from request first) >= unsafe_at 0.6"
    )


def test_what_is_remembered_fades_with_every_request() -> None:
    policy, past = remembering(decay=0.5), [Recollection("a", {"medical": 0.8}, False)]
    for more, p in ((0, 0.4), (1, 0.2), (2, 0.1)):
        later = [Recollection(str(n), {}, False) for n in range(more)]
        assert recall(policy, [*past, *later]).remembered["medical"].p == pytest.approx(p)
    kept = recall(remembering(), [*past, *[Recollection("b", {}, False)] * 9])
    assert kept.remembered["medical"] == Remembered(0.8, "a")
    assert recall(remembering(decay=0.0), past) == NOTHING


def test_what_no_policy_knows_and_what_is_no_probability_is_not_remembered() -> None:
    past = [Recollection("a", {"witchcraft": 1.0, "medical": float("nan"), "privacy": 7.0}, False)]
    assert recall(remembering(), past) == NOTHING


def test_thresholds_are_lower_after_a_refusal() -> None:
    policy = remembering(decay=0.0, after_refusal={"unsafe_at": 0.3})
    verdict = Verdict({**SAFE, "medical": 0.35})
    before = decide(policy, verdict, recall(policy, [Recollection("a", SAFE, False)]))
    after = decide(policy, verdict, recall(policy, [Recollection("a", SAFE, True)]))
    assert (before.label, after.label) == ("safe", "unsafe")
    assert after.reasons[-1] == "session.after_refusal holds since request a was refused"


@pytest.mark.parametrize(
    ("action", "label", "refused"),
    [
        ("refuse", "unsafe", True),
        ("block", "unsafe", True),
        ("escalate", "uncertain", False),  # nobody has refused it yet
        ("plain", "uncertain", False),
        ("block", "unavailable", False),  # a judge's failure says nothing about the request
    ],
)
def test_which_requests_count_as_refused(action: str, label: str, refused: bool) -> None:
    ruling: Any = Ruling(label, action, None, "verdict.on_unsafe", ("why",), 0.0)  # type: ignore[arg-type]
    left = recollection(made(ruling, Verdict({"a": 0.4, "b": float("nan")})))
    assert left == Recollection(ID, {"a": 0.4}, refused)


def test_a_review_replaces_escalate_alone() -> None:
    yes, no = Review(request_id=ID, approved=True), Review(request_id=ID, approved=False)
    for action in STRICTNESS:
        ruling = Ruling("unsafe", action, "a", "verdict.on_unsafe", ("why",), 0.5)
        assert reviewed(ruling, None) == ruling
        assert reviewed(ruling, no).action == "block"
        approved = reviewed(ruling, yes)
        assert approved.action == ("plain" if action == "escalate" else action)
    assert approved == ruling


def test_a_locked_session_cannot_be_changed() -> None:
    parent = {"version": 1, "name": "p", "extends": "kids"}
    with pytest.raises(PolicyError, match=r"session.memory is locked"):
        Policy.model_validate({**parent, "session": {"memory": "off"}})
    tighter = Policy.model_validate({**parent, "session": {"decay": 1.0}})
    assert tighter.session.memory == "max"
