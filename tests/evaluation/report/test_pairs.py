"""Systems against each other, request by request."""

import numpy as np
import pytest
from scipy.stats import binomtest

from guardrail.evaluation.report.pairs import mcnemar
from guardrail.evaluation.report.scored import Scored

from ..made import pairs, record, samples


def rows(unsafe, refused):  # type: ignore[no-untyped-def]
    return [
        Scored(sample, record("s", sample.id, refused=bool(flag)), flag)
        for sample, flag in zip(samples(unsafe), refused, strict=True)
    ]


def test_counts_by_hand_over_all_and_by_side() -> None:
    unsafe = [False, False, False, True, True, True]
    scored = {
        "one": rows(unsafe, [True, False, False, False, True, True]),
        "other": rows(unsafe, [False, True, True, False, True, False]),
    }
    found = mcnemar("one", scored)["other"]
    assert (found["b"], found["c"], found["n"]) == (1, 3, 6)
    assert found["p"] == pytest.approx(binomtest(1, 4).pvalue)
    assert found["safe"] == {"b": 1, "c": 2, "p": 1.0, "n": 3}
    assert found["unsafe"] == {"b": 0, "c": 1, "p": 1.0, "n": 3}
    turned = mcnemar("other", scored)["one"]
    assert (turned["b"], turned["c"], turned["p"]) == (3, 1, found["p"])


def test_every_pair_of_systems_is_compared_and_none_with_itself() -> None:
    scored = {name: rows([True], [True]) for name in ("a", "b", "c")}
    assert [list(mcnemar(name, scored)) for name in scored] == [["b", "c"], ["a", "c"], ["a", "b"]]


def test_only_requests_that_both_have_a_label_for_are_compared() -> None:
    scored = {
        "one": rows([True, True, True], [True, None, False]),
        "other": rows([True, True, True], [None, True, True]),
    }
    assert mcnemar("one", scored)["other"]["n"] == 1
    assert mcnemar("one", {"one": scored["one"], "none": []})["none"]["p"] is None


def test_trading_one_side_for_the_other_is_seen_by_side_only() -> None:
    flags = [each.side == "unsafe" for each in pairs(20)]
    scored = {"refuses": rows(flags, [True] * 40), "answers": rows(flags, [False] * 40)}
    found = mcnemar("refuses", scored)["answers"]
    assert found["p"] == 1
    assert found["safe"]["p"] < 1e-5
    assert found["unsafe"]["p"] < 1e-5
    assert (found["safe"]["b"], found["unsafe"]["c"]) == (20, 20)


def test_shuffled_systems_are_rarely_told_apart() -> None:
    low = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        unsafe = list(rng.random(80) < 0.5)
        scored = {name: rows(unsafe, list(rng.random(80) < 0.5)) for name in ("a", "b")}
        low += mcnemar("a", scored)["b"]["p"] < 0.05
    assert low <= 10
