"""Requests that failed before a decision: the page shows them between the decisions."""

import re
from pathlib import Path

import pytest

from guardrail.errors import PictureError
from guardrail.policy import load_policy
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.log import AuditLog
from guardrail.record.audit.observer import AuditObserver
from guardrail.record.audit.page.report import write_report
from guardrail.record.audit.page.views import decision_page, list_page
from guardrail.record.audit.queries import LogReader
from guardrail.record.failure import Failure, error_type_of, reason_of
from tests.record.audit.making import KEY, decision

BAD = "<b>zq-canary</b>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of a decision, a failure and another decision: records 1 to 3."""
    path = tmp_path / "audit.db"
    log = AuditLog(path, key=KEY)
    error = PictureError(f"there is no picture {BAD}")
    log.append(decision(0))
    AuditObserver(log, load_policy("baseline")).failed(
        Failure(
            request_id="4f" * 16,
            policy=decision(0).policy,
            mode="enforce",
            error_type=error_type_of(error),
            reason=reason_of(error),
            detail=str(error),
        )
    )
    log.append(decision(1))
    log.close()
    return path


def test_the_list_shows_failures_in_their_time(path: Path) -> None:
    with LogReader(path) as reader:
        page = list_page(reader, {})
        assert re.findall(r'<a href="/record/(\d)">', page) == ["3", "2", "1"]
        assert "2 decisions; 1 request failed before there was one" in page
        alone = list_page(reader, {"action": "failed"})
        assert re.findall(r'<a href="/record/(\d)">', alone) == ["2"]
        assert "<option selected>failed</option>" in alone
        assert "PictureError" in alone
        assert "PictureError" not in list_page(reader, {"category": "none:"})


def test_a_failure_has_a_page_between_its_neighbours(path: Path) -> None:
    with LogReader(path) as reader:
        record = reader.record(2)
        assert record is not None
        page = decision_page(reader, record)
    assert 'id="newer" href="/record/3"' in page
    assert 'id="older" href="/record/1"' in page
    assert "PictureError" in page
    assert "a picture cannot be read, or is not allowed" in page
    assert "nothing was generated" in page
    assert "zq-canary" not in page


def test_a_captured_detail_is_escaped(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db", key=KEY)
    policy = load_policy("baseline")
    captured = policy.model_copy(
        update={"capture": policy.capture.model_copy(update={"content": True})}
    )
    AuditObserver(log, captured).failed(
        Failure(request_id="a" * 32, error_type="PictureError", reason="why", detail=BAD)
    )
    log.close()
    with LogReader(tmp_path / "audit.db") as reader:
        record = reader.record(1)
        assert record is not None
        page = decision_page(reader, record)
    assert "&lt;b&gt;zq-canary" in page
    assert BAD not in page


def test_the_report_counts_and_lists_failures(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(path, out, Filter(), key=KEY, limit=10)
    page = out.read_text("utf-8")
    assert "Requests that failed before a decision" in page
    assert page.count('class="badge failed"') == 1
    assert "2 decisions" in page
