"""What holds for any valid policy and any verdict."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from guardrail.errors import PolicyError
from guardrail.policy import Policy, decide
from guardrail.policy.difference import difference
from guardrail.policy.display import resolved_lines
from guardrail.policy.document import parse_document
from guardrail.policy.evaluation import findings_of
from guardrail.policy.inheritance import Reading
from guardrail.policy.loader import Loaded
from guardrail.policy.locks import check_locks
from guardrail.policy.merge import lay_over
from guardrail.policy.nodes import Mark, from_plain
from guardrail.policy.terms import STRICTNESS, Action, Label
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import act_at
from tests.policy import strategies as some

prove = settings(
    derandomize=True,
    deadline=None,
    max_examples=int(os.environ.get("GUARDRAIL_PROPERTY_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@prove
@given(data=st.data(), policy=some.policies)
def test_any_verdict_gives_exactly_one_ruling(data: st.DataObject, policy: Policy) -> None:
    verdict = data.draw(some.verdicts(policy))
    ruling = decide(policy, verdict)
    assert ruling == decide(policy, verdict)
    assert ruling.action in get_args(Action)
    assert ruling.label in get_args(Label)
    assert 0.0 <= ruling.confidence <= 1.0
    assert ruling.reasons
    assert all(reason and "\n" not in reason for reason in ruling.reasons)
    assert ruling.category in (None, *(category.id for category in policy.categories))
    assert policy.message_for(ruling)


@prove
@given(data=st.data(), policy=some.policies)
def test_the_rule_named_is_one_that_asks_for_the_action(
    data: st.DataObject, policy: Policy
) -> None:
    ruling = decide(policy, data.draw(some.verdicts(policy)))
    section, *rest = ruling.rule.split(".")
    if section == "judge":
        assert (rest, ruling.action) == (["competence"], "plain")
        return
    category = next((c for c in policy.categories if c.id == rest[0]), None)
    said = getattr(policy.verdict if section == "verdict" else category, rest[-1])
    if said == "lean":
        sides = [rule.actions[side] for rule in policy.rules for side in ("safe", "unsafe")]
        assert ruling.action in (*sides, "plain")
    else:
        assert said == ruling.action


@prove
@given(data=st.data(), policy=some.policies)
def test_raising_a_probability_never_permits_more(data: st.DataObject, policy: Policy) -> None:
    verdict = data.draw(some.sane_verdicts(policy))
    name = data.draw(st.sampled_from([category.id for category in policy.categories]))
    raised = data.draw(some.probabilities.filter(lambda p: p >= verdict.categories[name]))
    before = decide(policy, verdict)
    after = decide(policy, replace(verdict, categories={**verdict.categories, name: raised}))
    assert STRICTNESS[after.action] >= STRICTNESS[before.action]


@prove
@given(data=st.data(), policy=some.policies)
def test_less_competence_never_permits_more_and_takes_comply_alone(
    data: st.DataObject, policy: Policy
) -> None:
    verdict = data.draw(some.sane_verdicts(policy))
    competence = verdict.competence if verdict.competence is not None else 100.0
    less = data.draw(st.floats(-100, competence) | st.sampled_from([float("nan"), "much"]))
    before = decide(policy, replace(verdict, competence=competence))
    after = decide(policy, replace(verdict, competence=less))
    assert (after.action == before.action) or (before.action, after.action) == ("comply", "plain")
    assert after.label == before.label
    # What was plain before may be decided by a category that asked for comply.
    assert before.action == "plain" or after.confidence == before.confidence
    assert after.action != "comply" or before.action == "comply"


@prove
@given(data=st.data(), policy=some.policies)
def test_an_unreadable_probability_is_never_safe(data: st.DataObject, policy: Policy) -> None:
    verdict = data.draw(some.sane_verdicts(policy))
    name = data.draw(st.sampled_from([category.id for category in policy.categories]))
    broken = data.draw(st.sampled_from([float("nan"), -0.1, 1.1, None, "0", float("inf")]))
    ruling = decide(policy, Verdict({**verdict.categories, name: broken}))
    assert ruling.label == "unavailable"
    rule = next(rule for rule in policy.rules if rule.id == name)
    assert STRICTNESS[ruling.action] >= STRICTNESS[rule.actions["unavailable"]]


@prove
@given(policy=some.policies)
def test_dump_and_load_is_the_identity_and_keeps_the_digest(policy: Policy) -> None:
    for again in (
        Policy.model_validate(policy.model_dump()),
        Policy.model_validate(policy.model_dump(mode="json")),
        Policy.model_validate_json(policy.model_dump_json()),
        Policy.model_validate(json.loads(json.dumps(policy.model_dump(mode="json")))),
    ):
        assert again == policy
        assert again.digest == policy.digest
        assert hash(again) == hash(policy)


@prove
@given(policy=some.policies, data=st.data())
def test_key_order_does_not_change_the_digest(policy: Policy, data: st.DataObject) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = data.draw(st.permutations(list(value)))
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    again = Policy.model_validate(shuffled(policy.model_dump(mode="json")))
    assert again.digest == policy.digest
    assert again.phrases == policy.phrases


@prove
@given(policy=some.policies)
def test_a_policy_survives_yaml_and_show_resolved(policy: Policy) -> None:
    content = policy.model_dump(mode="json")
    dumped = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    # PyYAML writes the text "0E0" bare: to YAML 1.1 it is no number, to YAML 1.2 it is one.
    assume(not re.search(r"(?m)^[^#]*?[:-] [-+]?[0-9]+[eE][-+]?[0-9]+$", dumped))
    shown = Loaded(policy, from_plain(content, Mark("p.yaml")), ("p.yaml",), ())
    lines = "\n".join(resolved_lines(shown))
    for text in (dumped, lines, json.dumps(content, ensure_ascii=False)):
        again = Policy.model_validate(parse_document(text.encode(), "p.yaml").plain())
        assert again.digest == policy.digest


@prove
@given(pair=some.pairs(), data=st.data())
def test_a_difference_is_reported_exactly_where_decisions_differ(
    pair: tuple[Policy, Policy], data: st.DataObject
) -> None:
    before, after = pair
    found = difference(before, after)["decisions"]
    for rule in before.rules:
        p = data.draw(some.probabilities | st.sampled_from([rule.unsafe_at, rule.safe_below]))
        was, now = (_finding(policy, rule.id, p) for policy in pair)
        reported = any(
            change["category"] == rule.id
            and "from" in change
            and (
                change["from"] <= p < change["to"] or (p == change["to"] and change["to_included"])
            )
            for change in found
        )
        assert reported == (was != now)


@prove
@given(pair=some.pairs(), data=st.data())
def test_a_difference_is_reported_exactly_where_readings_differ(
    pair: tuple[Policy, Policy], data: st.DataObject
) -> None:
    before, after = pair
    found = difference(before, after)["watch"]
    if before.watch.is_off or after.watch.is_off:
        assert len(found) == (before.watch.is_off != after.watch.is_off)
        return
    edges = [edge for each in pair for edge in (each.watch.unsafe_at, each.watch.middle)]
    p = data.draw(some.probabilities | st.sampled_from(edges))
    for last in (False, True):
        was, now = (act_at(policy.watch, p, last=last) for policy in pair)
        reported = any(
            change.get("last") is last
            and (
                change["from"] <= p < change["to"] or (p == change["to"] and change["to_included"])
            )
            for change in found
        )
        assert reported == (was != now)


def _finding(policy: Policy, name: str, p: float) -> tuple[str, str]:
    beliefs = {category.id: p for category in policy.categories}
    found = next(f for f in findings_of(policy, Verdict(beliefs)) if f.rule.id == name)
    return found.label, found.action


LOCKS = (
    *("mode", "verdict", "verdict.on_error", "verdict.unsafe_at", "contrast", "categories"),
    *("watch", "watch.every", "watch.on_unsafe"),
)


@prove
@given(parent=some.contents, child=some.contents, data=st.data())
def test_a_child_never_changes_what_is_locked(
    parent: dict[str, Any], child: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever a child says: either loading fails, or every locked value is in effect as before."""
    above = some.policy_of(parent)
    assume(above is not None)
    assert above is not None
    names = [f"categories.{category.id}" for category in above.categories]
    fields = [f"{name}.{field}" for name in names for field in ("on_unsafe", "unsafe_at")]
    locks = data.draw(st.lists(st.sampled_from([*LOCKS, *names, *fields]), max_size=4))
    if data.draw(st.booleans()):  # the child is about the same categories
        ids = [category["id"] for category in parent["categories"]]
        child = {
            **child,
            "categories": [
                {**category, "id": name}
                for category, name in zip(child["categories"], ids, strict=False)
            ],
        }
    top = from_plain(child, Mark("child.yaml", 1, 1))
    base = from_plain({**parent, "locked": locks}, Mark("parent.yaml", 1, 1))
    merged = lay_over(base, top)
    try:
        check_locks(base, merged, Mark("child.yaml", 1, 1))
    except PolicyError as error:
        _assert_says(error, "child.yaml:1:1: ", " is locked by parent.yaml:1:1")
        return
    below = some.policy_of(merged.plain())
    if below is None:
        return
    assert set(locks) <= set(below.locked)
    for lock in locks:
        _assert_kept(lock, above, below)


def _assert_says(error: PolicyError, start: str, *parts: str) -> None:
    assert str(error).startswith(start)
    assert "\n" not in str(error)
    for part in parts:
        assert part in str(error)


def _assert_kept(lock: str, above: Policy, below: Policy) -> None:
    section, *rest = lock.split(".")
    if section == "categories" and rest:
        old = next(rule for rule in above.rules if rule.id == rest[0])
        new = next(rule for rule in below.rules if rule.id == rest[0])
        if len(rest) == 1:
            assert _effective(old) == _effective(new)
            return
        key = {"on_unsafe": lambda rule: rule.actions["unsafe"]}.get(
            rest[1], lambda rule: rule.unsafe_at
        )
        assert key(old) == key(new)
    elif section == "verdict":
        known = {rule.id for rule in above.rules}
        fields = rest or list(type(above.verdict).model_fields)
        for field in fields:
            assert getattr(above.verdict, field) == getattr(below.verdict, field)
            for category in below.categories:
                if category.id not in known:
                    assert getattr(category, field) in (None, getattr(above.verdict, field))
        if not rest:
            for old in above.rules:
                new = next((rule for rule in below.rules if rule.id == old.id), None)
                assert new is None or _effective(old) == _effective(new)
    elif section == "watch" and rest:
        assert getattr(above.watch, rest[0]) == getattr(below.watch, rest[0])
    else:
        assert getattr(above, section) == getattr(below, section)
        if section == "categories":
            assert [_effective(r) for r in above.rules] == [_effective(r) for r in below.rules]


def _effective(rule: Any) -> tuple[Any, ...]:
    return rule.unsafe_at, rule.safe_below, tuple(sorted(rule.actions.items()))


@prove
@given(data=st.binary(max_size=400))
def test_any_bytes_give_a_document_or_one_clear_line(data: bytes) -> None:
    try:
        document = parse_document(data, "f.yaml")
        Reading().inherit(document, None)
    except PolicyError as error:
        _assert_says(error, "f.yaml:")


@prove
@given(text=st.text(st.sampled_from("ab01:-[]{}&*!|>'\"#%@`,? \n\t~<é\\"), max_size=120))
def test_any_yaml_like_text_gives_a_document_or_one_clear_line(text: str) -> None:
    test_any_bytes_give_a_document_or_one_clear_line.hypothesis.inner_test(text.encode())


def test_a_locked_policy_cannot_be_unlocked() -> None:
    content = {"version": 1, "name": "x", "extends": "strict", "locked": []}
    policy = Policy.model_validate(content)
    assert "verdict.on_error" in policy.locked
    with pytest.raises(PolicyError, match=r"verdict\.on_error is locked"):
        Policy.model_validate({**content, "verdict": {"on_error": "plain"}})
