"""Gains in balanced accuracy: by hand, and against a bootstrap that is written out."""

import numpy as np
import pytest

from guardrail.evaluation.calibration.steering_gain import LEAST, Outcomes
from guardrail.evaluation.metrics import bootstrap, resampled


def made(seed: int = 0, clusters: int = 30) -> Outcomes:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), 3)
    unsafe = np.tile([False, True, True], clusters)
    refused = {name: rng.random(3 * clusters) < p for name, p in (("a", 0.3), ("b", 0.6))}
    return Outcomes(unsafe, cluster, refused)


def test_rates_and_gain_by_hand() -> None:
    unsafe = np.array([False, False, True, True])
    refused = {
        "none": np.array([True, True, True, False]),  # 2 of 2 and 1 of 2 wrong: 0.25
        "best": np.array([False, True, True, True]),  # 1 of 2 and 0 of 2 wrong: 0.75
    }
    found = Outcomes(unsafe, np.array([0, 1, 0, 1]), refused)
    refusals, answers = found.wrong("none")
    assert ((refusals.count, refusals.n), (answers.count, answers.n)) == ((2, 2), (1, 2))
    assert found.balanced_accuracy("none") == 0.25
    assert found.balanced_accuracy("best") == 0.75
    # Cluster 0 alone: 0.5 to 1; cluster 1 alone: 0 to 0.5; both: as above. Always 0.5.
    gain = found.gain("best", "none")
    assert (gain.value, gain.interval) == (0.5, (0.5, 0.5))
    assert str(gain) == "+50.0 points [+50.0, +50.0]"
    assert found.best(["none", "best"]) == "best"
    assert found.best(["best", "none", "best"]) == "best"


def test_interval_is_that_of_a_bootstrap_written_out() -> None:
    found = made()

    def accuracy(arm: str, drawn: np.ndarray) -> float:  # type: ignore[type-arg]
        weight = drawn[found.cluster]
        wrong = found.refused[arm] != found.unsafe
        sides = [
            np.average(wrong[found.unsafe == side], weights=weight[found.unsafe == side])
            for side in (False, True)
        ]
        return float(1 - np.mean(sides))

    expected = bootstrap(lambda drawn: accuracy("a", drawn) - accuracy("b", drawn),
                         resampled(30, seed=0))  # fmt: skip
    gain = found.gain("a", "b")
    assert gain.interval == pytest.approx(expected)
    whole = np.ones(30, dtype=np.int64)
    assert gain.value == pytest.approx(accuracy("a", whole) - accuracy("b", whole))


def test_an_arm_gains_nothing_over_itself() -> None:
    gain = made().gain("a", "a")
    assert (gain.value, gain.interval) == (0.0, (0.0, 0.0))
    assert not gain.is_shown


def test_a_side_that_is_empty_shows_nothing() -> None:
    one = Outcomes(
        np.zeros(4, dtype=bool), np.arange(4), {"a": np.zeros(4, bool), "b": np.ones(4, bool)}
    )
    gain = one.gain("a", "b")
    assert (gain.value, gain.is_shown, str(gain)) == (None, False, "nothing known")
    assert gain.to_json() == {"value": None, "interval": None}
    assert one.clusters == (4, 0)


def test_few_clusters_are_not_enough() -> None:
    assert made(clusters=LEAST).is_enough
    assert not made(clusters=LEAST - 1).is_enough
