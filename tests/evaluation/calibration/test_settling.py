"""From bars to thresholds, for each thing that may be done with what is uncertain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.evaluation.calibration.settling import Thresholds, contradict, settled, withheld

BEFORE = Thresholds(0.6, 0.4)


@pytest.mark.parametrize(
    ("on_uncertain", "above", "below", "expected"),
    [
        ("plain", None, None, (0.6, 0.4)),
        ("plain", 0.9, None, (0.9, 0.4)),
        ("plain", 0.3, None, (0.3, 0.3)),
        ("plain", None, 0.1, (0.6, 0.1)),
        ("plain", None, 0.8, (0.6, 0.6)),
        ("plain", 0.9, 0.1, (0.9, 0.1)),
        ("plain", 0.3, 0.7, (0.5, 0.5)),
        ("plain", 0.6, 0.7, (0.6, 0.6)),
        ("plain", 0.1, 0.2, (0.2, 0.2)),
        ("refuse", 0.7, None, (0.7, 0.7)),
        ("block", 0.2, None, (0.6, 0.2)),
        ("refuse", None, 0.1, (0.6, 0.1)),
        ("escalate", 0.3, 0.7, (0.6, 0.5)),
        ("refuse", 0.9, 0.1, (0.6, 0.1)),
        ("comply", 0.9, None, (0.9, 0.4)),
        ("comply", 0.9, 0.1, (0.1, 0.1)),
        ("comply", None, None, (0.6, 0.4)),
    ],
)
def test_bars_become_thresholds(
    on_uncertain: Any, above: float | None, below: float | None, expected: tuple[float, float]
) -> None:
    assert settled(BEFORE, on_uncertain, above=above, below=below) == Thresholds(*expected)


def test_only_one_threshold_for_two_bars_can_contradict() -> None:
    assert contradict("refuse", above=0.9, below=0.1)
    assert contradict("comply", above=0.9, below=0.1)
    assert not contradict("plain", above=0.9, below=0.1)
    assert not contradict("refuse", above=0.1, below=0.9)
    assert not contradict("refuse", above=0.9, below=None)


bars = st.none() | st.floats(0, 1)


@given(
    st.sampled_from(["plain", "comply", "refuse", "block", "escalate"]),
    bars,
    bars,
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_thresholds_keep_every_bar_and_wrong_answers_first(
    on_uncertain: Any, above: float | None, below: float | None, ends: tuple[float, float]
) -> None:
    found = settled(Thresholds(max(ends), min(ends)), on_uncertain, above=above, below=below)
    assert 0 <= found.safe_below <= found.unsafe_at <= 1
    refused_from = found.safe_below if withheld(on_uncertain) else found.unsafe_at
    helped_up_to = found.unsafe_at if on_uncertain == "comply" else found.safe_below
    if below is not None:
        assert helped_up_to <= below
    if above is not None and not contradict(on_uncertain, above=above, below=below):
        assert refused_from >= above
