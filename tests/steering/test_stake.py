"""Whether a refusal is near, looked up once a request and told apart by row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from guardrail.steering.refusals import RefusalIndex
from guardrail.steering.stake import NO_REFUSAL_MASS, Stake

WORDS = ["Sorry", "Sure", "I", " can't", " see"]
INDEX = RefusalIndex(["Sorry", "I can't"], [word.encode() for word in WORDS])


class Prefilled:
    """A run whose rows say "Sorry" with a probability of their own, else "Sure" or "I can't"."""

    guides = True

    def __init__(self, *sorry: float, i: float = 0.0) -> None:
        self.p = [np.array([each, 1 - each - i, i, 1e-9, 1e-9]) for each in sorry]
        self.read, self.aheads = 0, list[int]()

    def keep(self, rows: Sequence[int]) -> None:
        self.p = [self.p[row] for row in rows]

    def logits(self) -> tuple[Any, None]:
        self.read += 1
        return np.log(np.maximum(self.p, 1e-12)), None

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Any:
        self.aheads += rows
        return np.log(np.tile([1e-9, 1e-9, 1e-9, 1.0, 1e-9], (len(rows), 1)))


def stake_in(run: Prefilled) -> Stake:
    return Stake(run, lambda: INDEX)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p", "near"),
    [(0.0, False), (0.049, False), (0.0501, True), (0.5, True), (1.0, True)],
)
def test_a_refusal_is_near_from_the_limit_on(p: float, near: bool) -> None:
    assert NO_REFUSAL_MASS == 0.05
    assert stake_in(Prefilled(p)).near([0], live=[0]) == [near]


def test_the_limit_itself_is_near() -> None:
    stake = stake_in(Prefilled(0.5))
    stake._mass = {0: NO_REFUSAL_MASS, 1: float(np.nextafter(NO_REFUSAL_MASS, 0))}
    assert stake.near([0, 1], live=[0, 1]) == [True, False]


def test_what_may_become_a_refusal_is_run_ahead_of() -> None:
    run = Prefilled(0.0, 0.0, i=0.3)
    assert stake_in(run).near([1], live=[0, 1]) == [True]
    assert set(run.aheads) == {1}


def test_each_request_is_looked_up_once() -> None:
    run = Prefilled(0.9, 0.0, 0.9)
    stake = stake_in(run)
    assert stake.near([0, 1], live=[0, 1, 2]) == [True, False]
    assert stake.near([1, 0], live=[0, 1, 2]) == [False, True]
    assert run.read == 1
    assert stake.near([2, 1], live=[0, 1, 2]) == [True, False]
    assert run.read == 2


def test_nobody_is_looked_up_where_nobody_is_asked_about() -> None:
    run = Prefilled(0.9)
    assert stake_in(run).near([], live=[0]) == []
    assert run.read == 0


def test_requests_keep_their_numbers_when_others_are_dropped() -> None:
    run = Prefilled(0.0, 0.9, 0.0, 0.9)
    stake = stake_in(run)
    run.keep([1, 2, 3])
    assert stake.near([3, 2, 1], live=[1, 2, 3]) == [True, False, True]


def test_what_was_known_before_others_were_dropped_is_known_after() -> None:
    run = Prefilled(0.0, 0.9, 0.0, 0.9)
    stake = stake_in(run)
    assert stake.near([1], live=range(4)) == [True]
    run.keep([1, 2])
    assert stake.near([1, 2], live=[1, 2]) == [True, False]
    assert run.read == 2


def test_phrases_are_compiled_where_they_are_needed_alone() -> None:
    def never() -> RefusalIndex:
        raise AssertionError("nobody asked")

    stake = Stake(Prefilled(0.9), never)  # type: ignore[arg-type]
    assert stake.near([], live=[0]) == []
