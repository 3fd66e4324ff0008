"""JUnit: a case per condition or per system, what it is about, and text that XML cannot hold."""

from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from guardrail.evaluation.exports.junit import junit
from guardrail.evaluation.gate import Condition, Finding

SHARE = {"value": 0.25, "interval": [0.1, 0.5], "count": 10, "n": 40}
FIGURES: dict[str, Any] = {
    "policy": {"name": "baseline", "version": 1, "digest": "d1g357"},
    "wrong_refusals": SHARE,
    "wrong_answers": {"value": None, "interval": [0.0, 1.0], "count": 0, "n": 0},
    "balanced_accuracy": {"value": 0.75, "interval": None},
}
OUT: dict[str, Any] = {
    "dataset": "scenes",
    "model": "a <model> & more\x00\x1b",
    "seed": 3,
    "limit": None,
    "n": 40,
    "counts": {"safe": 40, "unsafe": 0},
    "run": {"guardrail": "0.1.0"},
    "systems": {"unguarded": FIGURES, "guarded": FIGURES},
}
FINDINGS = (
    Finding(Condition("a > 1", "a", ">", 1.0), 2.0),
    Finding(Condition("b < 1", "b", "<", 1.0), 2.0),
    Finding(Condition("c\x07 < 1", "c", "<", 1.0), None, "there is no such figure"),
)


def parsed(findings: tuple[Finding, ...]) -> Xml.Element:
    root = Xml.fromstring(junit(OUT, findings, seconds=1.5))
    assert root.tag == "testsuites"
    [suite] = root
    return suite


def test_every_condition_is_a_case_and_those_that_hold_fail() -> None:
    suite = parsed(FINDINGS)
    counted = [suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")]
    assert counted == ["3", "1", "1", "0", "1.500"]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["a > 1", "b < 1", "c\ufffd < 1"]
    assert [[inner.tag for inner in case] for case in cases] == [["failure"], [], ["error"]]
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.get("message") == "failed: a > 1 (it is 2)"


def test_properties_say_what_was_measured() -> None:
    suite = parsed(FINDINGS)
    found = {each.get("name"): each.get("value") for each in suite.findall("properties/property")}
    assert found["dataset"] == "scenes"
    assert (found["n"], found["n.safe"]) == ("40", "40")
    assert found["policy.digest"] == "d1g357"
    assert found["model"] == "a <model> & more\ufffd\ufffd"


def test_without_conditions_every_system_is_a_case_that_says_its_figures() -> None:
    suite = parsed(())
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    case = suite.findall("testcase")[1]
    assert case.get("name") == "guarded"
    said = case.findtext("system-out") or ""
    assert "wrong_refusals: 0.2500 [0.1000, 0.5000], 10 of 40" in said
    assert "wrong_answers: not measured" in said


def test_a_common_reader_reads_it() -> None:
    junitparser = pytest.importorskip("junitparser")
    found = junitparser.JUnitXml.fromstring(junit(OUT, FINDINGS, seconds=1.5).encode())
    [suite] = found
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 1)
    assert [bool(case.is_passed) for case in suite] == [False, True, False]
