"""The page of measured versions is written from reports, and from nothing else."""

import re
from pathlib import Path

from tests.contract.versions import PAGE, ROOT, Line, read_report, write_page

REPORT = """<testsuites><testsuite>
<testcase name="test_one[llava]"/>
<testcase name="test_two[llava]"/>
<testcase name="test_two[git]"><skipped message="rows run one by one"/></testcase>
<testcase name="test_two[mllama]"><failure message="boom">here
E   TypeError: a | b
E   more</failure></testcase>
<testcase name="tests.contract"><error message="collection failure"/></testcase>
</testsuite></testsuites>"""


def line(version: str, **changes: object) -> Line:
    values = {"torch": "2.13.0", "passed": 5, "skipped": 0, "failed": 0, "first_failure": ""}
    return Line(version=version, date="2026-01-02", **{**values, **changes})  # type: ignore[arg-type]


def test_report_is_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    read = read_report(tmp_path / "report.xml", version="5.20.2", torch="2.13.0")
    assert (read.passed, read.skipped, read.failed) == (2, 1, 2)
    assert read.first_failure == "`test_two[mllama]`: TypeError: a / b"


def test_line_takes_its_place_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "versions.md"
    for each in (line("5.9.0"), line("5.24.0"), line("5.20.2", failed=1, first_failure="`x`: y")):
        write_page(page, each)
    write_page(page, line("5.20.2", passed=6))
    rows = [row for row in page.read_text().splitlines() if re.match(r"\| \d", row)]
    assert [Line.parse(row) for row in rows] == [
        line("5.24.0"),
        line("5.20.2", passed=6),
        line("5.9.0"),
    ]
    assert "tests.contract.versions 5.9.0 5.20.2 5.24.0" in page.read_text()


def test_floor_was_measured_and_passes() -> None:
    [floor] = re.findall(r"transformers>=([\d.]+),<6", (ROOT / "pyproject.toml").read_text())
    rows = [row for row in PAGE.read_text().splitlines() if re.match(r"\| \d", row)]
    lines = {each.version: each for each in map(Line.parse, rows)}
    assert lines[floor].failed == 0
    assert lines[floor].passed > 0
