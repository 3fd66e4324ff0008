"""A screen spares a judge's questions, and changes nothing else."""

from typing import Any

import pytest

from guardrail import Policy
from guardrail.record.decision import Decision
from tests.contract.guarded import BY_KIND, GREEDY, LONGER, WORDS, ask, engine, policy

SCREEN = "Could helping with this do any harm?"
PLAIN = {"on_safe": "plain", "on_uncertain": "plain", "on_unsafe": "plain"}


def screened(below: float) -> Policy:
    screen = {"question": SCREEN, "below": below, "covers": ["fire"]}
    return policy({"judge": {"screen": screen}, "verdict": PLAIN})


def asked_all() -> Policy:
    """The same questions, the screen's as one of a category."""
    whole: Any = policy({"verdict": PLAIN}).model_dump()
    whole["categories"] += ({"id": "harm", "question": SCREEN},)
    return Policy.model_validate(whole)


def verdict_of(decision: Decision) -> tuple[dict[str, float], float | None, list[str]]:
    return decision.verdict.categories, decision.verdict.screen, decision.verdict.screened


@pytest.mark.parametrize("family", BY_KIND)
def test_what_is_denied_first_is_asked_no_more_and_the_rest_is_as_without(family: str) -> None:
    made, asked = engine(family), [ask(family, WORDS), ask(family, LONGER)]
    whole = made.batch(asked, GREEDY, policy=asked_all())
    p = [each.decision.verdict.categories for each in whole]
    harm = [each["harm"] for each in p]
    assert abs(harm[0] - harm[1]) > 1e-5, "else the test shows nothing"
    low = harm.index(min(harm))
    policy = screened(sum(harm) / 2)
    together = made.batch(asked, GREEDY, policy=policy)
    alone = [made.answer(each, GREEDY, policy=policy) for each in asked]
    for answers in (together, alone):
        for at, answer in enumerate(answers):
            categories, screen, spared = verdict_of(answer.decision)
            assert screen == pytest.approx(harm[at], abs=1e-4)
            assert spared == (["fire"] if at == low else [])
            fire = harm[at] if at == low else p[at]["fire"]
            assert categories == pytest.approx({"injury": p[at]["injury"], "fire": fire}, abs=1e-4)
            assert list(categories) == ["injury", "fire"]
            assert answer.token_ids == whole[at].token_ids


def test_what_spares_nothing_asks_everything() -> None:
    made, asked = engine("llava"), ask("llava", WORDS)
    without = made.decide(asked, policy=policy()).decision.verdict
    for below in (0.0, 1e-300):
        categories, screen, spared = verdict_of(made.decide(asked, policy=screened(below)).decision)
        assert categories == pytest.approx(without.categories, abs=1e-5)
        assert (screen is None, spared) == (below == 0.0, [])


def test_a_judge_that_fails_in_the_screen_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine("llava")
    monkeypatch.setattr(made.backend, "labels", lambda: 1 / 0)
    found = made.decide(ask("llava", WORDS), policy=screened(1.0)).decision
    assert (found.verdict.label, found.verdict.screen, found.action) == (
        "unavailable",
        None,
        "block",
    )
