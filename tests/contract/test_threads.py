"""Requests of several threads, whose passes may be joined, are answered as each is alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.contract.guarded import GREEDY, engine
from tests.contract.test_batches import rows, same
from tests.families import FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_threads_answer_as_one_does(family: str) -> None:
    """Of settings that differ by an unused seed, so that none are started as one."""
    guarded = engine(family)
    asked = [(row, replace(GREEDY, seed=at)) for at, row in enumerate(rows(family) * 3)]
    alone = [guarded.answer(*each) for each in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(lambda each: guarded.answer(*each), asked))
    for one, other in zip(found, alone, strict=True):
        same(one, other)
