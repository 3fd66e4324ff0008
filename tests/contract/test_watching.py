"""Answers that are watched: the unwatched ones while nothing fires, in any batch."""

from typing import Any

import pytest

from guardrail import Policy
from guardrail.record.answer import Answer
from tests.contract.guarded import BY_KIND, GREEDY, LONGER, SAMPLED, WORDS, ask, engine, policy
from tests.families import FAMILIES

NEVER = {"every": 2, "unsafe_at": 1.0, "safe_below": 1.0}


def watching(**watch: Any) -> Policy:
    return policy(watch={**NEVER, **watch})


def readings(answer: Answer) -> list[tuple[int, str]]:
    return [(each.tokens, each.act) for each in answer.decision.watch]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(GREEDY, id="greedy"),
        pytest.param(SAMPLED, id="sampled", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("family", BY_KIND)
def test_a_watched_answer_is_the_unwatched_one(family: str, settings: Any) -> None:
    made = engine(family)
    asked = [ask(family, WORDS), ask(family, LONGER)]
    plain = made.batch(asked, settings)
    watched = made.batch(asked, settings, policy=watching())
    alone = [made.answer(each, settings, policy=watching()) for each in asked]
    for unwatched, together, single in zip(plain, watched, alone, strict=True):
        assert together.token_ids == single.token_ids == unwatched.token_ids
        assert together.text == unwatched.text
        assert readings(together) == readings(single)
        assert {act for _, act in readings(single)} == {"release"}
        assert together.decision.watch[-1].tokens == together.usage.output_tokens
        for one, other in zip(together.decision.watch, single.decision.watch, strict=True):
            assert one.categories == pytest.approx(other.categories, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_one_answer_ends_by_its_reading_and_its_neighbour_goes_on(family: str) -> None:
    made = engine(family)
    asked = [ask(family, WORDS), ask(family, LONGER)]
    first, second = (made.answer(each, GREEDY, policy=watching()) for each in asked)
    highest = [max(r.p_unsafe or 0.0 for r in each.decision.watch) for each in (first, second)]
    if abs(highest[0] - highest[1]) < 1e-3:
        pytest.skip("this family's tiny model reads both alike")
    at = sum(highest) / 2
    fires = watching(unsafe_at=at, safe_below=at, on_unsafe="end")
    found = made.batch(asked, GREEDY, policy=fires)
    for answer, whole, p in zip(found, (first, second), highest, strict=True):
        ended = answer.decision.outcome.finish_reason == "blocked"
        assert ended == (p >= at)
        if not ended:
            assert answer.token_ids == whole.token_ids
        assert whole.text.startswith(answer.text)
