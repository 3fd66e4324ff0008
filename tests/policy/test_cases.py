"""A policy's own tests, what they cover, and what changes between two policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.errors import PolicyError
from guardrail.policy import Policy, load_policy
from guardrail.policy.cases import run_cases
from guardrail.policy.difference import difference
from guardrail.policy.packs import names
from guardrail.policy.verdict import Verdict

POLICY = "version: 1\nname: acme\nextends: baseline\n"


def put(folder: Path, cases: str) -> Path:
    (folder / "acme.yaml").write_text(POLICY, encoding="utf-8")
    path = folder / "acme.cases.yaml"
    path.write_text(cases, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", [name for name in names() if "/" not in name])
def test_the_shipped_policies_pass_their_own_cases_and_reach_every_rule(name: str) -> None:
    run = run_cases(name)
    assert run.count("failed") == run.count("skipped") == 0
    assert run.coverage.missed == []


def test_a_failed_case_says_what_was_expected_and_where(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "cases:\n  - {name: a, verdict: {medical: 0.9}, expect: comply}\n"
        "  - {name: b, verdict: {}, rest: 0.9, expect: {action: refuse, rule: nowhere}}\n",
    )
    run = run_cases(path)
    first, second = run.results
    assert (first.status, second.status) == ("failed", "failed")
    assert first.failures == ("action is refuse, expected comply",)
    assert first.mark.line == 2
    assert second.failures == ("rule is verdict.on_unsafe, expected nowhere",)


def test_a_picture_is_judged_or_skipped(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "cases: [{name: a, picture: sub/k.png, question: 'How?', expect: refuse}]\n",
    )
    assert run_cases(path).results[0].status == "skipped"
    asked = []

    def judge(picture: Path, question: str, policy: Policy) -> Verdict:
        asked.append((picture, question, policy.name))
        return Verdict({c.id: 0.9 for c in policy.categories})

    assert run_cases(path, judge).results[0].status == "passed"
    assert asked == [(tmp_path / "sub" / "k.png", "How?", "acme")]


def test_cases_name_their_policy_or_stand_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "cases: [{name: a, error: x, expect: block}]\n")
    assert run_cases(tmp_path / "acme.yaml").count("passed") == 1
    other = tmp_path / "other.cases.yaml"
    other.write_text(
        "policy: permissive\ncases: [{name: a, error: x, expect: plain}]\n", encoding="utf-8"
    )
    assert run_cases(other).count("passed") == 1
    other.write_text(
        "policy: ./acme.yaml\ncases: [{name: a, error: x, expect: block}]\n", encoding="utf-8"
    )
    assert run_cases(other).count("passed") == 1


def test_cases_may_carry_metadata_for_a_selection(tmp_path: Path) -> None:
    put(
        tmp_path,
        "policy: ./select.yaml\ncases:\n"
        "  - {name: a, verdict: {privacy: 0.9}, metadata: {tenant: kids}, expect: block}\n"
        "  - {name: b, verdict: {privacy: 0.9}, expect: refuse}\n",
    )
    (tmp_path / "select.yaml").write_text(
        "version: 1\nname: s\nselect:\n"
        "  - {when: {tenant: kids}, policy: kids}\n  - policy: acme.yaml\n",
        encoding="utf-8",
    )
    run = run_cases(tmp_path / "acme.cases.yaml")
    assert run.count("passed") == 2
    assert any(rule.startswith("kids: ") for rule in run.coverage.missed)


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ("cases: []\n", "1:8: cases: 0 items"),
        ("cases: [{name: a, expect: block}]\n", "nothing to decide on"),
        (
            "cases: [{name: a, error: x, verdict: {}, expect: block}]\n",
            "a case has verdict, error: accepted is one of",
        ),
        ("cases: [{name: a, picture: x, expect: block}]\n", "add the question"),
        ("cases: [{name: a, error: x, expect: blok}]\n", "did you mean block"),
        ("cases: [{name: a, error: x, expct: block}]\n", "did you mean expect"),
        ("cases: [{name: a, verdict: {medicl: 1}, expect: block}]\n", "did you mean medical"),
        ("policy: no.yaml\ncases: [{name: a, error: x, expect: block}]\n", "1:9: cannot read"),
    ],
)
def test_bad_cases_give_one_clear_line(tmp_path: Path, cases: str, words: str) -> None:
    with pytest.raises(PolicyError, match=r"acme\.cases\.yaml:") as caught:
        run_cases(put(tmp_path, cases))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_policy_does_not_differ_from_itself() -> None:
    baseline = load_policy("baseline")
    assert difference(baseline, baseline) == {"decisions": [], "watch": [], "settings": []}


def test_a_difference_names_the_range_the_actions_and_the_settings() -> None:
    changed = Policy.model_validate(
        {
            "version": 1,
            "name": "x",
            "extends": "baseline",
            "categories": [
                {"id": "medical", "unsafe_at": 0.5},
                {"id": "privacy", "enabled": False},
                {"id": "new", "question": "Is it?"},
            ],
            "verdict": {"on_error": "escalate"},
            "contrast": {"alpha": 0.5},
        }
    )
    found = difference(load_policy("baseline"), changed)
    ranges = [change for change in found["decisions"] if "from" in change]
    assert ranges == [
        {
            "category": "medical",
            "change": "action",
            "from": 0.43,
            "to": 0.48,
            "to_included": False,
            "old": {"label": "uncertain", "action": "comply"},
            "new": {"label": "uncertain", "action": "refuse"},
        },
        {
            "category": "medical",
            "change": "label",
            "from": 0.5,
            "to": 0.6,
            "to_included": False,
            "old": {"label": "uncertain", "action": "refuse"},
            "new": {"label": "unsafe", "action": "refuse"},
        },
    ]
    others = {(c["category"], c["change"]) for c in found["decisions"] if "from" not in c}
    assert ("privacy", "no longer judged") in others
    assert ("new", "newly judged") in others
    assert ("offence", "unavailable") in others
    assert {"path": "contrast.alpha", "old": 0.3, "new": 0.5} in found["settings"]


def test_a_probability_of_exactly_one_may_be_decided_alike() -> None:
    def one(unsafe_at: float) -> Policy:
        category = {"id": "a", "question": "A?", "unsafe_at": unsafe_at, "safe_below": 0.0}
        return Policy.model_validate({"version": 1, "name": "p", "categories": [category]})

    (change,) = difference(one(0.5), one(1.0))["decisions"]
    assert (change["from"], change["to"], change["to_included"]) == (0.5, 1.0, False)
    (change,) = difference(
        one(0.5), one(0.5).model_copy(update={"verdict": {"on_unsafe": "block"}})
    )["decisions"]
    assert (change["from"], change["to"], change["to_included"]) == (0.5, 1.0, True)
