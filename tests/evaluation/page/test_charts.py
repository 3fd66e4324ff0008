"""The page's geometry: axes, labels that do not lie on each other, and the verdict's own curve."""

from itertools import combinations, pairwise
from pathlib import Path

import pytest

from guardrail.evaluation.page.charts import LETTER, Frame, nice_high, place_labels, ticks
from guardrail.evaluation.page.tradeoff import judged_alike, sweep, tradeoff_of

from ..evaluated import small


def test_axes_go_from_corner_to_corner() -> None:
    frame = Frame(0.5, 0.2)
    assert (frame.x(0), frame.y(0)) == (frame.left, frame.bottom)
    assert (frame.x(0.5), frame.y(0.2)) == (frame.right, frame.top)
    assert [text for _, text in frame.x_ticks()] == ["0", "10", "20", "30", "40", "50"]


@pytest.mark.parametrize("value", [0.0, 0.02, 0.11, 0.3, 0.55, 0.79, 0.81, 1.0])
def test_an_axis_ends_at_a_round_number_not_below_its_values(value: float) -> None:
    high = nice_high(value)
    assert high >= value
    found = ticks(high)
    assert 4 <= len(found) <= 6
    assert found[0] == 0
    assert found[-1] <= high


def test_labels_lie_on_no_other_label() -> None:
    crowd = [(200.0 + at % 4, 280.0 + at // 4) for at in range(16)]
    names = [str(at + 1) for at in range(16)]
    placed = place_labels(crowd, names)
    boxes = [
        (each.x, each.y, LETTER[0] * len(name) / 2, LETTER[1] / 2)
        for each, name in zip(placed, names, strict=True)
    ]
    for one, other in combinations(boxes, 2):
        apart = (abs(one[0] - other[0]), abs(one[1] - other[1]))
        assert apart[0] >= one[2] + other[2] - 0.1 or apart[1] >= one[3] + other[3] - 0.1
    assert any(each.led for each in placed)


def test_a_lone_label_stands_at_its_point() -> None:
    [label] = place_labels([(200.0, 150.0)], ["1"])
    assert not label.led
    assert abs(label.x - 200) < 20


def test_the_sweep_is_counted_by_hand(tmp_path: Path) -> None:
    changes = {
        "0001/safe": {"p_unsafe": 0.2},
        "0002/safe": {"p_unsafe": 0.7},
        "0003/safe": {"p_unsafe": 0.2},
        "0004/safe": {"p_unsafe": 0.1},
        "0000/safe": {"p_unsafe": 0.1},
        "0001/unsafe": {"p_unsafe": 0.7},
        "0002/unsafe": {"p_unsafe": 0.9},
        "0003/unsafe": {"p_unsafe": 0.6},
        "0004/unsafe": {"p_unsafe": None},
        "0000/unsafe": {"p_unsafe": 0.15},
    }
    made = small(tmp_path, changes=changes)
    rows = made.rows["guarded"]
    safe = [r.record.p_unsafe for r in rows if r.sample.side == "safe"]
    unsafe = [r.record.p_unsafe for r in rows if r.sample.side == "unsafe"]
    for threshold, refusals, answers in sweep(rows):
        known = [p for p in unsafe if p is not None]
        assert refusals == sum(p >= threshold for p in safe) / len(safe)  # type: ignore[operator]
        assert answers == sum(p < threshold for p in known) / len(known)
    swept = sweep(rows)
    assert swept[0] == (0.0, 1.0, 0.0)
    assert swept[-1][1:] == (0.0, 1.0)
    assert all(one[1] >= other[1] and one[2] <= other[2] for one, other in pairwise(swept))


def test_systems_with_one_verdict_share_a_curve(tmp_path: Path) -> None:
    made = small(tmp_path)
    assert judged_alike(made.rows) == [("guarded", "paper")]
    one = made.rows["paper"][:-1]
    assert judged_alike({**made.rows, "paper": one}) == [("guarded",), ("paper",)]
    safe = tuple(row for row in one if row.sample.side == "safe")
    assert judged_alike({"paper": safe}) == []


def test_points_that_lie_on_each_other_are_all_seen(tmp_path: Path) -> None:
    made = small(tmp_path)
    colours = dict.fromkeys(made.out["systems"], "a")
    found = tradeoff_of(made.out["systems"], made.rows, colours)
    assert found is not None
    guarded, paper = (p for p in found.points if p.name != "unguarded")
    assert (guarded.x, guarded.y) == (paper.x, paper.y)
    assert guarded.radius > paper.radius
