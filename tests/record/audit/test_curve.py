"""The curve of p over an answer: where things are drawn, and what the page says beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.cli.audit_text import stats
from guardrail.policy.terms import ACTS
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.page.curve import GLYPHS, MOST_MARKS, Curve, curve_of
from guardrail.record.audit.page.report import write_report
from guardrail.record.audit.page.views import decision_page
from guardrail.record.audit.queries import LogReader
from guardrail.record.decision import Decision
from guardrail.serving.page import views as start_page

from .making import KEY
from .markup import assert_accessible
from .watched import BASELINE, answered, logged, watching

END, RECORD = (watching(on_unsafe=each) for each in ("end", "record"))
FAILED = "the judge took longer than 10 s"


def drawn(path: Path, made: Decision) -> tuple[Curve, str]:
    with LogReader(logged(path / "a.db", END, made)) as reader:
        record = reader.record(1)
        assert record is not None
        found = curve_of(record)
        assert found is not None
        return found, decision_page(reader, record)


def test_readings_stand_at_their_tokens_and_probabilities(tmp_path: Path) -> None:
    curve, html = drawn(tmp_path, answered(END, (0.0, 0.5, 1.0)))
    assert [(each.x, each.y, each.act) for each in curve.marks] == [
        (round(curve.left + (curve.right - curve.left) / 3, 2), curve.bottom, "release"),
        (
            round(curve.left + 2 * (curve.right - curve.left) / 3, 2),
            (curve.top + curve.bottom) / 2,
            "hold",
        ),
        (curve.right, curve.top, "end"),
    ]
    assert curve.lines == (" ".join(f"{each.x},{each.y}" for each in curve.marks),)
    assert curve.safe_below is not None
    assert curve.unsafe_at is not None
    assert curve.top < curve.unsafe_at < curve.safe_below < curve.bottom
    assert curve.acts == tuple((act, GLYPHS[act], 1) for act in ("release", "hold", "end"))
    assert "the highest 1.000 at 24 tokens" in curve.title
    assert "The answer was ended by the reading at 24 tokens: <b>end</b>" in html
    assert "unsafe at 0.6" in html
    assert_accessible(html)


def test_what_could_not_be_read_breaks_the_line(tmp_path: Path) -> None:
    made = answered(RECORD, (0.1, 0.2, FAILED, 0.3), goes_on=True)
    curve, html = drawn(tmp_path, made)
    assert [len(line.split()) for line in curve.lines] == [2, 1]
    assert curve.marks[2].y == curve.top
    assert "not read" in curve.marks[2].title
    assert "could not be read <b>1</b>" in html
    (tmp_path / "none").mkdir()
    curve, _ = drawn(tmp_path / "none", answered(END, (FAILED,)))
    assert (curve.lines, len(curve.marks)) == ((), 1)
    assert "none of which gave one" in curve.title


def test_small_probabilities_are_drawn_larger_and_the_axis_says_so(tmp_path: Path) -> None:
    low = watching(unsafe_at=0.02, safe_below=0.01, on_unsafe="record")
    with LogReader(logged(tmp_path / "a.db", low, answered(low, (0.005, 0.04)))) as reader:
        record = reader.record(1)
    assert record is not None
    curve = curve_of(record)
    assert curve is not None
    assert curve.y_ticks[-1] == (curve.top, "0.05")


def test_of_many_readings_those_that_cleared_have_no_mark(tmp_path: Path) -> None:
    curve, _ = drawn(tmp_path, answered(RECORD, [0.1] * MOST_MARKS + [0.9, 0.1]))
    assert [each.act for each in curve.marks] == ["record"]
    assert len(curve.lines[0].split()) == MOST_MARKS + 2
    assert len(curve.x_ticks) <= 6


def test_a_page_without_readings_says_so_only_where_the_policy_watches(tmp_path: Path) -> None:
    for policy, is_said in ((END, True), (BASELINE, False)):
        path = logged(tmp_path / f"{is_said}.db", policy, answered(policy, ()))
        with LogReader(path) as reader:
            record = reader.record(1)
            assert record is not None
            assert ("There was no answer to read" in decision_page(reader, record)) is is_said


@pytest.mark.parametrize("act", ACTS)
def test_every_act_has_a_mark_of_its_own_and_the_same_in_the_playground(act: str) -> None:
    assert len(set(GLYPHS.values())) == len(ACTS)
    script = start_page._own_file("static/decision.js")
    assert f'{act}: "{GLYPHS[act]}"' in script  # type: ignore[index]


def test_readings_are_counted_by_what_was_done(tmp_path: Path) -> None:
    made = [answered(END, (0.0, 0.5, 1.0)), answered(RECORD, (0.0, 1.0)), answered(BASELINE, ())]
    path = logged(tmp_path / "a.db", END, *made)
    with LogReader(path) as reader:
        found = reader.stats(Filter())
        assert found["readings"] == {"release": 2, "end": 1, "hold": 1, "record": 1}
        assert "  readings  release 2, end 1, hold 1, record 1" in stats(found)
        write_report(path, tmp_path / "r.html", Filter(), key=KEY, limit=3)
        assert "Readings of growing answers" in (tmp_path / "r.html").read_text("utf-8")
        nobody = Filter(action="block")
        assert reader.stats(nobody)["readings"] == {}
        assert not [each for each in stats(reader.stats(nobody)) if "readings" in each]
