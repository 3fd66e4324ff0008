"""One self-contained HTML file about an evaluation: it loads nothing and runs no script.

INVARIANT: autoescaping is on for every template, and what comes from the data is never marked safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.gate import DEFAULT_SYSTEM, Finding
from guardrail.evaluation.page.curves import reliabilities, risk_coverage_of
from guardrail.evaluation.page.groups import costs, groupings
from guardrail.evaluation.page.items import worst_items
from guardrail.evaluation.page.tradeoff import tradeoff_of
from guardrail.evaluation.report import REFERENCE, UNWATCHED, Scored
from guardrail.evaluation.results import Results
from guardrail.evaluation.systems import System
from guardrail.record.audit.page.views import escaping, source_hash, static_file
from guardrail.record.version import __version__

COLOURS = ("a", "c", "e", "b", "d")
"""Of systems other than the unguarded and the evaluated one, in turn."""


def report_page(
    out: Mapping[str, Any],
    dataset: Dataset,
    systems: Sequence[System],
    rows: Mapping[str, Sequence[Scored]],
    results: Results,
    *,
    command: str = "",
    findings: Sequence[Finding] = (),
) -> str:
    """Returns the page.

    Args:
        out: What `guardrail eval --json` prints.
        dataset: What was asked.
        systems: Who answered.
        rows: What each of them made of the two sides.
        results: All answers.
        command: What was run, for the reader to run again.
        findings: The gate's.
    """
    figures = out["systems"]
    colours = _colours(figures)
    chosen = _chosen(systems)
    shown = [name for name in (REFERENCE, chosen) if name in figures]
    unguarded = (results.get(REFERENCE, each.id) for each in dataset)
    reference = {each.sample: each for each in unguarded if each is not None}
    style = static_file("page.css") + _own_file("static/report.css")
    page = _templates().get_template("report.html").render(
        out=out,
        systems=figures,
        chosen=chosen,
        reference=REFERENCE,
        references=[name for name in (REFERENCE, UNWATCHED) if name in figures],
        colours=colours,
        command=command,
        findings=findings,
        tradeoff=tradeoff_of(figures, rows, colours),
        reliabilities=reliabilities(figures),
        risk_coverage=risk_coverage_of(figures, colours),
        groupings=groupings(figures, list(dict.fromkeys(shown)), colours),
        costs=costs(figures, colours),
        grading=out.get("grading"),
        comparisons=_comparisons(figures),
        wrong=sum(row.wrong is True for row in rows[chosen]),
        items=worst_items(rows[chosen], reference),
        style=Markup(style),  # our own files, whole: the policy in the page holds their digest
        style_hash=source_hash(style),
        version=__version__,
    )  # fmt: skip
    return page.lstrip()


@cache
def _templates() -> Environment:
    found = escaping("guardrail.evaluation.page")
    found.filters.update(percent=_percent, interval=_interval, number=_number)
    return found


def _own_file(name: str) -> str:
    return files("guardrail.evaluation.page").joinpath(name).read_text("utf-8")


def _chosen(systems: Sequence[System]) -> str:
    """Returns the system that the page is about: the evaluated policy, or the first guarded one."""
    names = [each.name for each in systems]
    if DEFAULT_SYSTEM in names:
        return DEFAULT_SYSTEM
    return next((each.name for each in systems if each.mode != "off"), names[0])


def _colours(figures: Mapping[str, Any]) -> dict[str, str]:
    fixed = {REFERENCE: "reference", DEFAULT_SYSTEM: "chosen"}
    others = [name for name in figures if name not in fixed]
    turns = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(others)}
    return {name: fixed.get(name) or turns[name] for name in figures}


def _comparisons(figures: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Returns (system, other system, McNemar's test of the two), each pair once."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for name, each in figures.items():
        for other, tested in (each.get("mcnemar") or {}).items():
            if tested and (other, name) not in {(one, two) for one, two, _ in found}:
                found.append((name, other, tested))
    return found


def _percent(share: Mapping[str, Any] | None, sign: str = "") -> str:
    """Returns a share as percent, a dash where there is none."""
    if share is None or share["value"] is None:
        return "–"
    return f"{100 * share['value']:{sign}.1f}%"


def _interval(share: Mapping[str, Any] | None, scale: float = 100, form: str = ".1f") -> str:
    if share is None or share["value"] is None or not share.get("interval"):
        return ""
    low, high = share["interval"]
    return f"{scale * low:{form}} to {scale * high:{form}}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
