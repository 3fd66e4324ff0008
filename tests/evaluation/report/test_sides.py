"""Shares with two intervals and bounds, by kind of sample; balanced accuracy at its extremes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from guardrail.evaluation import Dataset
from guardrail.evaluation.metrics import resampled
from guardrail.evaluation.report.scored import Clusters, Scored
from guardrail.evaluation.report.sides import balanced, by, gain, sides

from ..made import pairs, record, samples


def rows_of(dataset: Dataset, refused: Any) -> list[Scored]:
    return [
        Scored(sample, record("s", sample.id, refused=bool(flag)), flag)
        for sample, flag in zip(dataset, refused, strict=True)
    ]


def clusters_of(dataset: Dataset, *, resamples: int = 500) -> Clusters:
    return Clusters(dataset.clusters(("safe", "unsafe")), 0, resamples)


def test_a_share_by_hand() -> None:
    # Safe: refused, answered, ungraded, answered. Unsafe: answered, refused.
    dataset = samples([False, False, False, False, True, True])
    rows = rows_of(dataset, [True, False, None, False, False, True])
    found = sides(rows, clusters_of(dataset))
    refusals = found["wrong_refusals"]
    assert (refusals["count"], refusals["n"], refusals["ungraded"]) == (1, 3, 1)
    assert refusals["value"] == pytest.approx(1 / 3)
    assert refusals["bounds"] == [0.25, 0.5]  # the ungraded one answered, or refused
    answers = found["wrong_answers"]
    assert (answers["count"], answers["n"], answers["ungraded"]) == (1, 2, 0)
    assert answers["bounds"] == [0.5, 0.5]


def test_a_share_with_all_ungraded_knows_nothing() -> None:
    dataset = samples([False, False])
    share = sides(rows_of(dataset, [None, None]), clusters_of(dataset))["wrong_refusals"]
    assert share == {
        "value": None,
        "interval": [0.0, 1.0],
        "interval_clustered": None,
        "count": 0,
        "n": 0,
        "ungraded": 2,
        "bounds": [0.0, 1.0],
    }


def test_the_clustered_interval_is_that_of_the_drawn_means() -> None:
    rng = np.random.default_rng(0)
    cluster = rng.integers(40, size=200)
    dataset = samples([False] * 200, list(cluster))
    refused = rng.random(200) < 0.3
    clusters = clusters_of(dataset)
    share = sides(rows_of(dataset, list(refused)), clusters)["wrong_refusals"]
    order = list(dict.fromkeys(cluster))
    drawn = resampled(len(order), seed=0, resamples=500)
    means = []
    for counts in drawn:  # each resample written out, request by request
        times = np.array([counts[order.index(each)] for each in cluster])
        means.append(np.repeat(refused, times).mean())
    assert share["interval_clustered"] == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_requests_that_share_everything_have_a_wider_interval_than_wilsons() -> None:
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(30), 10)
    refused = np.repeat(rng.random(30) < 0.5, 10)  # ten times the same
    dataset = samples([False] * 300, list(cluster))
    share = sides(rows_of(dataset, list(refused)), clusters_of(dataset))["wrong_refusals"]
    low, high = share["interval"]
    low_clustered, high_clustered = share["interval_clustered"]
    assert high_clustered - low_clustered > 2 * (high - low)


def test_kinds_add_up_and_samples_without_one_are_left_out() -> None:
    dataset = pairs(4)
    kinds = ["pt", "pt", "en", "en", "en", "en", "", ""]
    labelled = replace(
        dataset,
        samples=tuple(
            replace(each, language=kind) for each, kind in zip(dataset.samples, kinds, strict=True)
        ),
    )
    rows = rows_of(labelled, [True, True, False, False, True, False, True, True])
    found = by(rows, lambda sample: sample.language, clusters_of(labelled))
    assert list(found) == ["en", "pt"]
    assert (found["en"]["wrong_refusals"]["count"], found["en"]["wrong_refusals"]["n"]) == (1, 2)
    assert (found["en"]["wrong_answers"]["count"], found["en"]["wrong_answers"]["n"]) == (2, 2)
    assert found["pt"]["wrong_refusals"]["value"] == 1


def test_perfect_worst_and_gain() -> None:
    dataset = pairs(10)
    clusters = clusters_of(dataset)
    perfect = rows_of(dataset, [False, True] * 10)
    worst = rows_of(dataset, [True, False] * 10)
    refuses_all = rows_of(dataset, [True] * 20)
    assert balanced(perfect, clusters) == {"value": 1.0, "interval": (1.0, 1.0)}
    assert balanced(worst, clusters) == {"value": 0.0, "interval": (0.0, 0.0)}
    assert balanced(refuses_all, clusters)["value"] == 0.5
    assert gain(perfect, worst, clusters) == {"value": 1.0, "interval": (1.0, 1.0)}


@pytest.mark.parametrize("unsafe", [True, False])
def test_one_side_alone_has_no_balanced_accuracy(unsafe: bool) -> None:
    dataset = samples([unsafe] * 5)
    rows, clusters = rows_of(dataset, [True] * 5), clusters_of(dataset)
    assert balanced(rows, clusters) == {"value": None, "interval": None}
    assert gain(rows, rows, clusters) == {"value": None, "interval": None}
    empty = sides(rows, clusters)["wrong_refusals" if unsafe else "wrong_answers"]
    assert (empty["value"], empty["n"], empty["interval_clustered"], empty["bounds"]) == (
        None,
        0,
        None,
        None,
    )


def test_shuffled_outcomes_score_at_chance() -> None:
    inside, values = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        dataset = pairs(100)
        rows = rows_of(dataset, list(rng.permutation([True, False] * 100)))
        found = balanced(rows, clusters_of(dataset, resamples=300))
        low, high = found["interval"]
        inside += low <= 0.5 <= high
        values.append(found["value"])
    assert inside >= 35  # 95% of 40 is 38
    assert np.mean(values) == pytest.approx(0.5, abs=0.015)
