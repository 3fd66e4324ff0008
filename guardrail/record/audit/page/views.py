"""From records to HTML. Everything that comes from a log is escaped by the templates."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from guardrail.errors import AuditError
from guardrail.policy.evidence_words import evidence_in_words
from guardrail.record.audit.failures import FAILED, failure_counts, newest
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.page.charts import ACTIONS, chart_of, percent
from guardrail.record.audit.page.curve import curve_of
from guardrail.record.audit.queries import PAGE, LogReader
from guardrail.record.audit.record import AuditRecord
from guardrail.record.audit.times import moment_of
from guardrail.record.audit.verification import Verification
from guardrail.record.version import __version__

STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_FIELDS = ("action", "category", "policy", "since", "until")
_NONE = "none"
_INPUT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")


def escaping(package: str) -> Environment:
    """Returns the templates of a page. INVARIANT: autoescaping is on for every one of them.

    Args:
        package: The page's, whose folder `templates` holds them.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def templates() -> Environment:
    """Returns the templates of this page."""
    found = escaping("guardrail.record.audit.page")
    found.globals.update(version=__version__, actions=(*ACTIONS, FAILED))
    found.filters.update(percent=percent, clock=_clock, number=_number)
    return found


def static_file(name: str) -> str:
    """Returns a stylesheet or script of the page."""
    return files("guardrail.record.audit.page").joinpath("static", name).read_text("utf-8")


def source_hash(text: str) -> str:
    """Returns the name by which a content policy admits an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@dataclass(frozen=True)
class Category:
    """A category of a verdict against its thresholds, as they were."""

    name: str
    p: float
    unsafe_at: float | None
    safe_below: float | None
    decided: bool

    @property
    def label(self) -> str:
        """What the thresholds say."""
        if self.unsafe_at is None or self.safe_below is None:
            return "not in the policy"
        if not 0 <= self.p <= 1:
            return "unavailable"
        if self.p >= self.unsafe_at:
            return "unsafe"
        return "safe" if self.p < self.safe_below else "uncertain"


def chosen_filter(query: Mapping[str, str]) -> Filter:
    """Returns the filter that a query string's values spell.

    Raises:
        AuditError: A time is none.
    """
    given = {name: query.get(name, "").strip() for name in _FIELDS}
    return Filter(
        action=given["action"] or None,
        category=None if not given["category"] else given["category"].removeprefix(_NONE + ":"),
        policy=given["policy"] or None,
        since=moment_of(given["since"]) if given["since"] else None,
        until=moment_of(given["until"]) if given["until"] else None,
    )


def list_page(reader: LogReader, query: Mapping[str, str]) -> str:
    """Returns the list: filters, rates over time, decisions and the requests that came to none.

    Raises:
        AuditError: A filter cannot be understood, or the log cannot be read.
    """
    problem = None
    try:
        chosen = chosen_filter(query)
    except AuditError as error:
        problem, chosen = str(error), Filter()
    before = query.get("before", "")
    place = int(before) if before.isdecimal() and len(before) < 19 else None
    share = query.get("chart") == "share"
    given = {name: query[name] for name in (*_FIELDS, "chart") if query.get(name)}
    found = newest(reader, chosen, limit=PAGE + 1, before=place)
    buckets = reader.buckets(chosen)
    older = urlencode({**given, "before": found[PAGE - 1].seq}) if len(found) > PAGE else None
    return templates().get_template("list.html").render(
        title="Decisions",
        decisions=found[:PAGE],
        older=older,
        newest=urlencode(given) if place is not None else None,
        total=sum(bucket.total for bucket in buckets),
        failed=sum(failure_counts(reader, chosen).values()),
        charts=[("action", chart_of(buckets, by="action", share=share)),
                ("category", chart_of(buckets, by="category", share=share))],
        share=share,
        other_chart=urlencode({**given, "chart": "counts" if share else "share"}),
        given={name: _shown(name, query.get(name, "")) for name in _FIELDS},
        categories=reader.choices("category"),
        policies=reader.choices("policy"),
        unfinished=reader.unfinished(limit=10) if place is None and not given else [],
        problem=problem,
    )  # fmt: skip


def decision_page(reader: LogReader, record: AuditRecord) -> str:
    """Returns one record's page."""
    newer, older = reader.neighbours(record.seq)[::-1]
    raw = reader.raw(record.seq)
    return templates().get_template("decision.html").render(
        title=f"Record {record.seq}",
        record=record,
        decision=record.decision,
        failure=record.failure,
        categories=categories_of(record),
        curve=curve_of(record),
        rests_on=evidence_in_words(record.decision.verdict.believed()) if record.decision else [],
        newer=newer,
        older=older,
        hash=raw[1] if raw else "",
    )  # fmt: skip


def check_page(found: Verification) -> str:
    """Returns the result of a check."""
    return templates().get_template("check.html").render(title="Check", found=found)


def error_page(status: int, message: str) -> str:
    """Returns a page that says what is wrong."""
    return templates().get_template("error.html").render(
        title=f"Error {status}", status=status, message=message
    )  # fmt: skip


def categories_of(record: AuditRecord) -> list[Category]:
    """Returns a record's verdict by category, the most probable first, as the policy saw it."""
    decision = record.decision
    if decision is None:
        return []
    limits = record.thresholds or {}
    found = [
        Category(
            name=name,
            p=p,
            unsafe_at=limits[name].unsafe_at if name in limits else None,
            safe_below=limits[name].safe_below if name in limits else None,
            decided=name == decision.category,
        )
        for name, p in decision.verdict.categories.items()
    ]
    return sorted(found, key=lambda each: (not each.decided, -each.p))


def _shown(name: str, value: str) -> str:
    """Returns what a field of the filter is filled with; a browser takes times of one form only."""
    fits = name not in ("since", "until") or _INPUT_TIME.fullmatch(value)
    return value if fits else ""


def _clock(text: str) -> str:
    return text[:19].replace("T", " ")


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
