"""Answers of a model behind a server are watched as those of one in this process."""

from __future__ import annotations

from typing import Any

import pytest

from guardrail import Policy, SafeCoDe
from guardrail.steering.watched import UNTURNED
from tests.backends.server.test_backend import GREEDY, ask, backend, local, policy


def watching(**watch: Any) -> Policy:
    found: Policy = policy().model_copy(update={"watch": {"every": 6, **watch}})
    return found


@pytest.mark.parametrize("at", [0, 3])
def test_readings_are_those_of_the_model_in_this_process(at: int) -> None:
    never = watching(unsafe_at=1.0, safe_below=1.0)
    served = SafeCoDe(backend=backend(), policy=policy())
    plain = served.answer(ask(at), GREEDY)
    here, there = (each.answer(ask(at), GREEDY, policy=never) for each in (local(), served))
    assert there.text == plain.text == here.text
    assert there.token_ids == plain.token_ids
    told = [[(each.tokens, each.act) for each in answer.decision.watch] for answer in (here, there)]
    # The token that ends an answer is seen in this process alone.
    assert [act for _, act in told[0]] == [act for _, act in told[1]]
    for one, other in zip(here.decision.watch, there.decision.watch, strict=True):
        assert one.categories == pytest.approx(other.categories, abs=2e-2)


def test_a_server_cannot_turn_an_answer_which_ends_in_the_policy_s_words() -> None:
    always = watching(unsafe_at=0.0, safe_below=0.0, on_unsafe="steer")
    served = SafeCoDe(backend=backend(), policy=always)
    answer = served.answer(ask(3), GREEDY)
    assert answer.decision.outcome.replaced
    assert answer.decision.outcome.finish_reason == "blocked"
    assert UNTURNED in answer.decision.errors
