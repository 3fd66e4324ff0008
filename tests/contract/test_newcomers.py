"""Families nobody named are served by the generic path: the contract's core, in one test each."""

import pytest
import torch

from guardrail.backends.transformers.branch import Branch, prepare
from guardrail.backends.transformers.noise import noised_inputs
from guardrail.request.conversation import question
from tests.contract.full_forward import full_logits
from tests.contract.guarded import GREEDY, LONGER, SAMPLED, ask, engine, generated, shown
from tests.contract.newcomers import NEWCOMERS
from tests.families import RECIPES

TOKENS = torch.tensor([70, 81, 75])


@pytest.mark.parametrize("family", NEWCOMERS)
def test_newcomer_is_served(family: str) -> None:
    guarded = engine(family)
    for conversation in (ask(family), ask(family, LONGER, count=2), ask(family, count=0)):
        for settings in (GREEDY, SAMPLED):
            expected = generated(family, conversation, settings)
            for mode in ("off", "shadow"):
                answer = guarded.answer(conversation, settings, mode=mode)  # type: ignore[arg-type]
                assert list(answer.token_ids) == expected
                assert answer.decision.errors == []
    decision = guarded.answer(ask(family), GREEDY).decision
    assert decision.contrast.applied
    assert all(step.divergence for step in decision.steps)


@pytest.mark.parametrize("family", NEWCOMERS)
def test_newcomer_s_cached_steps_equal_full_forwards(family: str) -> None:
    guarded = engine(family)
    inputs = guarded.backend.encoder.encode([ask(family, LONGER, count=2)])
    noised = noised_inputs(inputs, noise_std=0.2, image_processor=guarded.processor.image_processor)
    expected = [full_logits(guarded.model, each, TOKENS) for each in (inputs, noised)]
    real, other = (
        Branch.prefill(prepare(guarded.model, each, max_new_tokens=8)) for each in (inputs, noised)
    )
    both = real.stack(other)
    for step, token in enumerate(TOKENS):
        at_step = torch.stack([each[step] for each in expected])
        torch.testing.assert_close(both.logits, at_step, atol=1e-4, rtol=0)
        both = both.extend(token.repeat(2, 1))


@pytest.mark.parametrize("family", NEWCOMERS)
def test_newcomer_s_batch_equals_its_rows_alone(family: str) -> None:
    guarded = engine(family)
    rows = [question("In the kitchen?", [shown(0, (24, 40))]), ask(family, LONGER, first=3)]
    if RECIPES[family].most_pictures > 1:
        rows.append(ask(family, "And these two?", count=2, first=5))
    for answer, row in zip(guarded.batch(rows, GREEDY), rows, strict=True):
        alone = guarded.answer(row, GREEDY)
        assert answer.token_ids == alone.token_ids
        p = alone.decision.verdict.categories
        assert answer.decision.verdict.categories == pytest.approx(p, abs=1e-4)
