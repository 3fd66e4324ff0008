"""McNemar's test and kappa against values worked out by hand, statsmodels and scikit-learn."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar as theirs
from statsmodels.stats.inter_rater import cohens_kappa

from guardrail.evaluation import agreement
from guardrail.evaluation.agreement import Discordance, discordance, kappa
from guardrail.evaluation.metrics import resampled


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        (0, 0, 1.0),
        (0, 1, 1.0),  # 2 * 1/2
        (0, 5, 0.0625),  # 2 * 1/32
        (1, 5, 0.21875),  # 2 * (1 + 6) / 64
        (5, 1, 0.21875),
        (3, 3, 1.0),
    ],
)
def test_mcnemar_by_hand(b: int, c: int, p: float) -> None:
    assert Discordance(b, c, 20).p == pytest.approx(p)


@pytest.mark.parametrize("seed", range(8))
def test_mcnemar_is_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random(300) < 0.3, rng.random(300) < 0.4
    found = discordance(first, second)
    table = [[(~first & ~second).sum(), found.c], [found.b, (first & second).sum()]]
    assert found.n == 300
    assert found.p == pytest.approx(theirs(table, exact=True).pvalue)


def test_no_cases_have_no_p_value() -> None:
    assert discordance(np.array([]), np.array([])).to_json() == {"b": 0, "c": 0, "p": None, "n": 0}


def test_equal_systems_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)
    p = [discordance(rng.random(200) < 0.3, rng.random(200) < 0.3).p for _ in range(400)]
    assert sum(each < 0.05 for each in p if each is not None) <= 0.07 * 400  # the test is exact


def graded(first: Any, second: Any, *, resamples: int = 200) -> agreement.Kappa:
    drawn = resampled(len(first), seed=0, resamples=resamples)
    return kappa(np.array(first), np.array(second), np.arange(len(first)), drawn)


def test_kappa_by_hand() -> None:
    # 20 both, 5 only the first, 10 only the second, 15 neither: (0.7 - 0.5) / (1 - 0.5).
    first = [True] * 25 + [False] * 25
    second = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    found = graded(first, second)
    assert found.value == pytest.approx(0.4)
    assert found.n == 50
    assert found.interval is not None
    assert found.interval[0] < 0.4 < found.interval[1]


@pytest.mark.parametrize("seed", range(4))
def test_kappa_is_that_of_the_cases_and_its_interval_near_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.random(400) < 0.4
    second = np.where(rng.random(400) < 0.8, first, rng.random(400) < 0.4)
    found = graded(first, second, resamples=1000)
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    table = np.array(
        [
            [(~first & ~second).sum(), (~first & second).sum()],
            [(first & ~second).sum(), (first & second).sum()],
        ]
    )
    whole = cohens_kappa(table)
    assert found.interval == pytest.approx((whole.kappa_low, whole.kappa_upp), abs=0.02)


def test_full_agreement_chance_and_opposition() -> None:
    half = np.arange(100) < 50
    assert graded(half, half).value == 1
    assert graded(half, ~half).value == -1
    assert graded(half, np.arange(100) % 2 == 0).value == pytest.approx(0)


@pytest.mark.parametrize("label", [True, False])
def test_one_label_throughout_has_no_kappa(label: bool) -> None:
    found = graded([label] * 5, [label] * 5)
    assert (found.value, found.interval, found.n) == (None, None, 5)


def test_nothing_has_no_kappa() -> None:
    empty = np.array([], dtype=bool)
    found = kappa(empty, empty, np.array([], dtype=np.int64), resampled(3, seed=0, resamples=5))
    assert (found.value, found.interval, found.n) == (None, None, 0)


def test_cases_of_one_cluster_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(50) < 0.5, rng.random(50) < 0.7
    tenfold = np.repeat(first, 10), np.repeat(second, 10)
    drawn = resampled(50, seed=0, resamples=200)
    alone = kappa(first, second, np.arange(50), drawn)
    together = kappa(*tenfold, np.repeat(np.arange(50), 10), drawn)
    assert together.interval == pytest.approx(alone.interval)


def test_importing_evaluation_loads_neither_library_nor_torch() -> None:
    script = "import sys, guardrail.evaluation, guardrail.evaluation.grading; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(made.stdout.split())
    assert {"scipy", "sklearn", "torch", "transformers", "langchain_core"}.isdisjoint(loaded)
    assert "guardrail.evaluation.agreement" in loaded
