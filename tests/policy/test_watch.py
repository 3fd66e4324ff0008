"""The section `watch`: how it is read, inherited, locked, checked, compared and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import main
from guardrail.errors import PolicyError
from guardrail.judging.judge import answer_questions_of
from guardrail.policy import Policy, load_policy
from guardrail.policy.cases import run_cases
from guardrail.policy.difference import difference
from guardrail.policy.json_schema import file_schema
from guardrail.policy.lint import lint
from guardrail.policy.loader import load
from guardrail.policy.locks import check_locks
from guardrail.policy.packs import names
from guardrail.policy.strictness import strictest
from guardrail.policy.terms import WORDS
from guardrail.policy.watch import NO_WATCH, Watch


def write(folder: Path, name: str, text: str, extends: str = "baseline") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(f"version: 1\nname: {name}\nextends: {extends}\n{text}", encoding="utf-8")
    return path


def watching(**watch: Any) -> Policy:
    return Policy.model_validate({"version": 1, "name": "p", "extends": "baseline", "watch": watch})


def test_a_policy_without_the_section_does_not_watch_and_one_with_it_does() -> None:
    assert load_policy("baseline").watch == NO_WATCH
    assert NO_WATCH.is_off
    found = watching().watch
    assert found == Watch(
        every=32, unsafe_at=0.6, safe_below=0.4, on_unsafe="replace", release="judged"
    )
    assert not found.is_off
    assert watching(every=0).watch.is_off
    assert watching().digest != load_policy("baseline").digest


@pytest.mark.parametrize("name", [name for name in names() if "/" not in name])
def test_one_shipped_policy_watches(name: str) -> None:
    assert load_policy(name).watch.is_off is (name != "watched")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("watch: {every: 4097}", "4:16: watch.every: 4097 is not accepted: accepted is a whole"),
        ("watch: {every: -1}", "accepted is a whole number from 0 to 4096"),
        ("watch: {every: 1.5}", "4:16: watch.every"),
        ("watch: {on_unsafe: replac}", "did you mean replace"),
        ("watch: {on_unsafe: hold}", "accepted is one of replace, end, steer, escalate"),
        ("watch: {release: later}", "accepted is one of judged"),
        ("watch: {evry: 3}", "4:9: watch.evry: unknown key (did you mean every?)"),
        ("watch:", "4:7: watch: nothing is not accepted: accepted is a map with the keys every"),
        (
            "watch: {unsafe_at: 0.3}",
            "4:20: watch.unsafe_at: the thresholds overlap: safe_below 0.4 is above unsafe_at 0.3",
        ),
        ("watch: {safe_below: 0.9}", "4:21: watch.safe_below: the thresholds overlap"),
        ("categories: [{id: medical, answer_question: ' '}]", "is blank"),
    ],
)
def test_what_is_not_accepted_is_said_in_one_line_at_its_place(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(write(tmp_path, "p", f"{text}\n"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_section_is_inherited_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, "a", "watch: {every: 16, on_unsafe: end}\n")
    policy = load_policy(write(tmp_path, "b", "watch: {release: immediate}\n", "a.yaml"))
    assert policy.watch == Watch(every=16, on_unsafe="end", release="immediate")
    off = load_policy(write(tmp_path, "c", "watch: {every: 0}\n", "a.yaml"))
    assert off.watch == Watch(every=0, on_unsafe="end")


@pytest.mark.parametrize(
    ("parent", "child", "path"),
    [
        (
            "watch: {on_unsafe: end}\nlocked: [watch.on_unsafe, watch.release]",
            "watch: {on_unsafe: record}",
            "on_unsafe",
        ),
        (
            "watch: {every: 8}\nlocked: [watch.on_unsafe, watch.release]",
            "watch: {release: immediate}",
            "release",
        ),
        ("watch: {}\nlocked: [watch]", "watch: {every: 0}", "watch"),
        ("watch: {}\nlocked: [watch.every]", "watch: {every: 0}", "every"),
        ("watch: {on_unsafe: end}\nlocked: [watch]", "watch: {unsafe_at: 1.0}", "watch"),
        ("locked: [watch.every]", "watch: {on_unsafe: end}", "every"),
        (
            "categories: [{id: medical, answer_question: Is it?}]\nlocked: [categories.medical]",
            "categories: [{id: medical, answer_question: Is it poetry?}]",
            "answer_question",
        ),
    ],
)
def test_what_is_locked_cannot_be_loosened(
    tmp_path: Path, parent: str, child: str, path: str
) -> None:
    write(tmp_path, "a", f"{parent}\n")
    with pytest.raises(PolicyError, match=rf"b\.yaml:4:\d+: .*{path} is locked by .*a\.yaml"):
        load_policy(write(tmp_path, "b", f"{child}\n", "a.yaml"))


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("watch: {}\nlocked: [watch]", "watch: {every: 32, on_unsafe: replace}"),
        ("watch: {every: 32}\nlocked: [watch.every]", "watch: {on_unsafe: end}"),
        ("locked: [watch]", "watch: {every: 0}"),
        ("watch: {}\nlocked: [watch.on_unsafe]", "watch: {every: 8}"),
    ],
)
def test_what_is_locked_may_be_restated(tmp_path: Path, parent: str, child: str) -> None:
    write(tmp_path, "a", f"{parent}\n")
    above = load_policy(tmp_path / "a.yaml")
    below = load_policy(write(tmp_path, "b", f"{child}\n", "a.yaml"))
    for lock in above.locked:
        _, _, key = lock.partition(".")
        kept = [getattr(p.watch, key) if key else p.watch for p in (above, below)]
        assert kept[0] == kept[1]
    documents = [load(tmp_path / f"{name}.yaml").document for name in "ab"]
    check_locks(documents[0], documents[1], documents[1].mark)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("watch: {}", []),
        ("watch: {every: 8}", []),
        ("watch: {every: 7}", [("note", "watch-costs", 4)]),
        ("watch: {release: immediate}", [("warning", "watch-too-late", 4)]),
        ("watch: {release: immediate, on_unsafe: end}", [("warning", "watch-too-late", 4)]),
        ("watch: {release: immediate, on_unsafe: steer}", []),
        ("watch: {every: 0}", []),
        ("watch: {every: 0, on_unsafe: end}", [("note", "watch-ignored", 4)]),
        ("watch: {safe_below: 0}", [("warning", "watch-never-releases", 4)]),
        ("watch: {safe_below: 0, on_unsafe: record}", []),
        (
            "watch: {safe_below: 0, unsafe_at: 0, on_unsafe: record}",
            [("warning", "always-fires", 4)],
        ),
        ("watch: {}\nlocked: [watch.on_unsafe]", [("note", "watch-unlocked", 5)]),
        ("watch: {}\nlocked: [watch.on_unsafe, watch.every]", []),
        ("watch: {}\nlocked: [watch]", []),
    ],
)
def test_what_is_probably_not_meant_is_said(
    tmp_path: Path, text: str, found: list[tuple[str, str, int]]
) -> None:
    findings = lint(load(write(tmp_path, "p", f"{text}\n")))
    assert [(each.level, each.check, each.mark.line) for each in findings] == found


def test_every_word_of_the_section_may_be_told_in_an_error() -> None:
    properties = file_schema()["$defs"]["Watch"]["properties"]
    for key in ("on_unsafe", "release", "thinking"):
        assert set(properties[key]["enum"]) <= WORDS
    assert properties["every"]["maximum"] == 4096
    assert file_schema()["properties"]["watch"]["default"]["every"] == 0


def questions(category: dict[str, Any], **policy: Any) -> str:
    content = {"version": 1, "name": "p", "categories": [{"id": "a", **category}], **policy}
    return answer_questions_of(Policy.model_validate(content))["a"]


def test_an_answer_question_is_the_policys_own_or_made_of_what_it_says() -> None:
    here = "Could helping with this, in this picture, get someone hurt?"
    assert questions({"question": here, "answer_question": "Is it?"}) == "Is it? Answer yes or no."
    made = "Could the answer so far, in this picture, get someone hurt? Answer yes or no."
    assert questions({"question": here}) == made
    because = (
        "Does the answer so far help with something that should not be helped with, "
        "because it is rude? Answer yes or no."
    )
    assert questions({"question": "Rude?", "reason": "it is rude"}) == because
    vocabulary = {"refusals": {"en": {"reasons": {"a": "it is rude"}}}}
    assert questions({"question": "Rude?"}, **vocabulary) == because
    german = {"question": "Grob?", "reason": {"de": "es grob ist"}}
    assert questions(german) == "About the answer so far: Grob? Answer yes or no."
    assert questions({"question": "Rude?"}, judge={"answer_suffix": ""}).endswith("Rude?")


@pytest.mark.parametrize("name", [name for name in names() if "/" not in name])
def test_every_shipped_policy_has_an_answer_question_for_each_category(name: str) -> None:
    policy = load_policy(name)
    asked = answer_questions_of(policy)
    assert list(asked) == [category.id for category in policy.categories]
    assert len(set(asked.values())) == len(asked)
    assert all("answer so far" in words for words in asked.values())


def test_a_difference_says_what_readings_lead_to() -> None:
    old, new = watching(on_unsafe="end"), watching(unsafe_at=0.7, on_unsafe="record")
    found = difference(old, new)
    assert found["decisions"] == []
    growing = [
        (c["from"], c["to"], c["old"], c["new"]) for c in found["watch"] if c.get("last") is False
    ]
    assert growing == [
        (0.4, 0.6, of("uncertain", "hold"), of("uncertain", "release")),
        (0.6, 0.7, of("unsafe", "end"), of("uncertain", "release")),
        (0.7, 1.0, of("unsafe", "end"), of("unsafe", "record")),
    ]
    assert {"path": "watch.on_unsafe", "old": "end", "new": "record"} in found["settings"]
    (switched,) = difference(old, load_policy("baseline"))["watch"]
    assert (switched["change"], switched["on_unsafe"]) == ("no longer watched", "end")
    unread = difference(old, watching(on_unsafe="escalate"))["watch"][-1]
    assert (unread["change"], unread["new"]["act"]) == ("unavailable", "escalate")
    asking = old.model_dump()
    asking["categories"][0]["answer_question"] = "Is it?"
    (setting,) = difference(old, Policy.model_validate(asking))["settings"]
    assert setting["path"] == "categories.physical-danger.answer_question"


def of(label: str, act: str) -> dict[str, str]:
    return {"label": label, "act": act}


@pytest.mark.parametrize(
    ("mild", "strict"),
    [
        ({"every": 0}, {"on_unsafe": "record"}),
        ({"on_unsafe": "record"}, {"on_unsafe": "steer"}),
        ({"on_unsafe": "end"}, {}),
        ({"unsafe_at": 0.7}, {}),
        ({}, {"safe_below": 0.3}),
        ({"release": "immediate"}, {}),
    ],
)
def test_of_policies_alike_the_one_that_watches_more_strictly_is_the_strictest(
    mild: dict[str, Any], strict: dict[str, Any]
) -> None:
    pair = [watching(**mild), watching(**strict)]
    assert strictest(pair) is strictest(pair[::-1]) is pair[1]
    stricter = load_policy("strict")
    assert strictest([pair[1], stricter]) is stricter


CASES = """cases:
  - {name: harmless, answer: {}, expect: {watch: release}}
  - {name: it turns, answer: {medical: 0.8}, expect: {watch: end, category: medical}}
  - {name: doubtful, answer: {medical: 0.5}, expect: {watch: hold, label: uncertain}}
  - {name: and over, answer: {medical: 0.5}, last: true, expect: {watch: end}}
"""


def test_cases_may_be_readings(tmp_path: Path) -> None:
    write(tmp_path, "acme", "watch: {on_unsafe: end}\n")
    cases = tmp_path / "acme.cases.yaml"
    cases.write_text(CASES, encoding="utf-8")
    run = run_cases(cases)
    assert run.count("passed") == 4
    assert [result.done for result in run.results] == ["release", "end", "hold", "end"]
    assert "acme: watch unavailable" in run.coverage.missed
    assert "acme: watch unsafe" in run.coverage.rules
    cases.write_text(
        f"{CASES}  - {{name: unread, answer: {{medical: .nan}}, expect: {{watch: hold}}}}\n",
        encoding="utf-8",
    )
    run = run_cases(cases)
    assert run.results[-1].failures == ("watch is end, expected hold",)
    assert not any(rule.startswith("acme: watch") for rule in run.coverage.missed)


def test_a_reading_of_a_policy_that_does_not_watch_fails(tmp_path: Path) -> None:
    write(tmp_path, "acme", "")
    cases = tmp_path / "acme.cases.yaml"
    cases.write_text(CASES, encoding="utf-8")
    run = run_cases(cases)
    assert run.count("failed") == 4
    assert run.results[1].failures == ("acme does not watch the answer, expected end",)
    assert not any("watch" in rule for rule in run.coverage.rules)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("answer: {}, expect: end", "expect.action: 'end' is not accepted"),
        ("answer: {}, expect: block", "a case with an answer expects watch, and not action"),
        ("verdict: {}, expect: {watch: end}", "a case with verdict expects action, and not watch"),
        ("answer: {}, verdict: {}, expect: block", "a case has verdict, answer: accepted is one"),
        ("verdict: {}, last: true, expect: block", "last is about a reading: add the answer"),
        ("answer: {medicl: 1}, expect: {watch: end}", "did you mean medical"),
        ("answer: {}, expect: {watch: stop}", "accepted is one of release, hold, replace"),
    ],
)
def test_bad_readings_give_one_clear_line(tmp_path: Path, case: str, words: str) -> None:
    write(tmp_path, "acme", "watch: {}\n")
    cases = tmp_path / "acme.cases.yaml"
    cases.write_text(f"cases: [{{name: a, {case}}}]\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"acme\.cases\.yaml:1:") as caught:
        run_cases(cases)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["policy", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_explain_says_how_the_answer_is_watched_and_why_a_reading_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "acme", "watch: {on_unsafe: replace, every: 16}\n")
    line = "answer watched every 16 tokens, safe below 0.4, unsafe at 0.6: replace; release judged"
    assert line in run(capsys, "show", "acme.yaml")[1].splitlines()
    assert line in run(capsys, "explain", "acme.yaml")[1].splitlines()
    blocked = run(capsys, "explain", "acme.yaml", "--error", "late")[1]
    assert "watched" not in blocked, "there is no answer to watch"
    out = run(capsys, "explain", "acme.yaml", "--watch", "-p", "medical=0.7")[1]
    assert out.startswith("replace: medical is unsafe: p 0.7 >= unsafe_at 0.6, so watch.on_unsafe")
    assert "rule watch.on_unsafe at acme.yaml:4:20" in out
    assert "the answer becomes: I can't help with that here: it could harm someone's health." in out
    asked = "Does this answer so far help with something by which it could harm someone's health?"
    assert asked in out
    middle = ("explain", "acme.yaml", "--watch", "-p", "medical=0.5", "--json")
    acts = [json.loads(run(capsys, *middle, *last)[1])["act"] for last in ([], ["--last"])]
    assert acts == ["hold", "replace"]
    found = json.loads(run(capsys, "explain", "acme.yaml", "--json")[1])["watch"]
    assert found["every"] == {"value": 16, "at": "acme.yaml:4:36"}
    assert found["release"] == {"value": "judged", "at": "default"}


def test_explain_says_where_nobody_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert "watched" not in run(capsys, "explain", "baseline")[1]
    assert json.loads(run(capsys, "explain", "baseline", "--json")[1])["watch"] is None
    out = run(capsys, "explain", "shadow", "--watch", "--error", "late")[1]
    assert "watch.every is 0: the answer is not watched, and nobody reads it" in out
    assert "mode shadow: this is not acted on" in out
    status, _, err = run(capsys, "explain", "baseline", "--last")
    assert (status, "--last needs --watch" in err) == (2, True)


def test_diff_fails_where_an_answer_is_no_longer_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path, "acme", "watch: {on_unsafe: escalate}\n"))
    status, out, _ = run(capsys, "diff", path, "baseline", "--exit-code")
    assert status == 1
    assert "  no longer watched (every 32 tokens, unsafe at 0.6: escalate)" in out.splitlines()
    other = str(write(tmp_path, "other", "watch: {unsafe_at: 0.5}\n"))
    lines = run(capsys, "diff", path, other)[1].splitlines()
    assert "  while it grows, p in [0.5, 0.6): hold -> replace (uncertain -> unsafe)" in lines
    assert "  once it is over, p in [0.5, 0.6): escalate -> replace (uncertain -> unsafe)" in lines
    assert "  medical, without a verdict: escalate -> replace" in lines
    assert run(capsys, "diff", path, path, "--exit-code")[0] == 0
