"""An evaluation as JUnit XML: a test case per condition of the gate, or else one per system.

A condition that holds is a failure, one whose figure is missing an error. The suite's properties
say what was measured. The form is the common one, which Jenkins, GitLab and GitHub's actions read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from guardrail.evaluation.gate import DEFAULT_SYSTEM, Finding

_TOLD = ("wrong_refusals", "wrong_answers", "balanced_accuracy")
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def junit(out: Mapping[str, Any], findings: Sequence[Finding], *, seconds: float) -> str:
    """Returns the XML.

    Args:
        out: What `guardrail eval --json` prints.
        findings: The gate's, in order; without any, every system is a case that passes.
        seconds: How long the run took.
    """
    failed = sum(each.holds and each.value is not None for each in findings)
    missing = sum(each.value is None for each in findings)
    root = Xml.Element("testsuites")
    suite = _inner(
        root,
        "testsuite",
        name=f"guardrail eval {out['dataset']}",
        tests=str(len(findings) or len(out["systems"])),
        failures=str(failed),
        errors=str(missing),
        skipped="0",
        time=f"{seconds:.3f}",
    )
    properties = _inner(suite, "properties")
    for name, value in _properties(out).items():
        _inner(properties, "property", name=name, value=str(value))
    classname = f"guardrail.eval.{out['dataset']}"
    for finding in findings:
        _add_condition(suite, finding, classname)
    for name, figures in () if findings else out["systems"].items():
        case = _inner(suite, "testcase", classname=classname, name=name, time="0")
        _inner(case, "system-out").text = _fit(_said(figures))
    Xml.indent(root)
    body = Xml.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_condition(suite: Xml.Element, finding: Finding, classname: str) -> None:
    case = _inner(suite, "testcase", classname=classname, name=finding.condition.text, time="0")
    if finding.holds:
        kind = "error" if finding.value is None else "failure"
        what = "missing figure" if finding.value is None else "limit passed"
        _inner(case, kind, message=str(finding), type=what).text = _fit(str(finding))


def _properties(out: Mapping[str, Any]) -> dict[str, Any]:
    systems = out["systems"]
    policy = (systems.get(DEFAULT_SYSTEM) or next(iter(systems.values())))["policy"]
    return {
        "dataset": out["dataset"],
        "n": out["n"],
        **{f"n.{side}": count for side, count in out["counts"].items()},
        "model": out["model"],
        "seed": out["seed"],
        "policy": policy["name"],
        "policy.digest": policy["digest"],
        "guardrail": out["run"]["guardrail"],
    }


def _said(figures: Mapping[str, Any]) -> str:
    lines = []
    shares = {name: figures[name] for name in _TOLD}
    if figures.get("turning"):
        shares["turning.reached"] = figures["turning"]["reached"]
    for name, share in shares.items():
        if share["value"] is None:
            lines.append(f"{name}: not measured")
            continue
        ends = share["interval"]
        within = f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""
        count = f", {share['count']} of {share['n']}" if "count" in share else ""
        lines.append(f"{name}: {share['value']:.4f}{within}{count}")
    return "\n".join(lines)


def _inner(parent: Xml.Element, tag: str, **attributes: str) -> Xml.Element:
    return Xml.SubElement(parent, tag, {name: _fit(value) for name, value in attributes.items()})


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)
