"""Cached steps of the real and the noised branch give the logits of full forwards."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from guardrail.backends.transformers.branch import Branch, prepare
from guardrail.backends.transformers.noise import noised_inputs
from tests.contract.full_forward import full_logits
from tests.contract.guarded import GREEDY, LONGER, WHOLE, ask, engine
from tests.families import FAMILIES, RECIPES

TOKENS = torch.tensor([70, 81, 75, 300, 40])
SHARING = [family for family in FAMILIES if family not in WHOLE]


def both_inputs(family: str) -> tuple[dict[str, Any], dict[str, Any]]:
    made = engine(family)
    inputs = made.backend.encoder.encode([ask(family, LONGER, count=2)])
    image_processor = getattr(made.processor, "image_processor", None)
    return inputs, noised_inputs(inputs, noise_std=0.2, image_processor=image_processor)


def close(family: str, actual: Tensor, expected: Tensor) -> None:
    # Gemma 4 rounds more: in float32 its full forward alone is 3e-5 off float64, others 7e-6.
    atol = 5e-4 if family == "gemma4" else 1e-4
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_stacked_steps_equal_full_forwards(family: str) -> None:
    model = engine(family).model
    expected = [full_logits(model, inputs, TOKENS) for inputs in both_inputs(family)]
    assert (expected[0] - expected[1]).abs().max() > 1e-3
    real, noised = (
        Branch.prefill(prepare(model, inputs, max_new_tokens=8)) for inputs in both_inputs(family)
    )
    both = real.stack(noised)
    for step, token in enumerate(TOKENS):
        close(family, both.logits, torch.stack([each[step] for each in expected]))
        both = both.extend(token.repeat(2, 1))
    real = both.fork([0])
    close(family, real.logits, expected[0][-1:])
    expected_next = full_logits(model, both_inputs(family)[0], torch.cat([TOKENS, TOKENS[:1]]))
    close(family, real.extend(TOKENS[None, :1]).logits, expected_next[-1:])


@pytest.mark.parametrize("family", FAMILIES)
def test_looking_ahead_equals_full_forwards_and_leaves_the_run_where_it_is(family: str) -> None:
    made = engine(family)
    asked = ask(family, LONGER, count=2)
    run = made.backend.start([asked], GREEDY)
    run.prefill(lambda _: nullcontext())
    before = run.logits()[0].clone()
    paths = [TOKENS[:2].tolist(), TOKENS[2:4].tolist()]
    inputs = made.backend.encoder.encode([asked])
    for path, logits in zip(paths, run.ahead([0, 0], paths), strict=True):
        close(family, logits, full_logits(made.model, inputs, torch.tensor(path))[-1])
    run.begin([None], seed=None)
    assert torch.equal(run.logits()[0], before)
    run.take([int(TOKENS[0])])
    run.advance(noised=False)
    after = full_logits(made.model, inputs, TOKENS[:1])[-1]
    close(family, run.logits()[0][0], after)
    again = full_logits(made.model, inputs, TOKENS[:2])[-1]
    close(family, run.ahead([0], [[int(TOKENS[1])]])[0], again)
    close(family, run.logits()[0][0], after)


@pytest.mark.parametrize("family", SHARING)
def test_forked_suffixes_of_different_lengths_equal_full_forwards(family: str) -> None:
    model = engine(family).model
    inputs, _ = both_inputs(family)
    prefix = Branch.prefill(prepare(model, inputs, max_new_tokens=8))
    padded = torch.stack([TOKENS, TOKENS.flip(0), TOKENS])
    last = torch.tensor([1, 4, 0])
    expected = torch.stack(
        [
            full_logits(model, inputs, row[: int(end) + 1])[-1]
            for row, end in zip(padded, last, strict=True)
        ]
    )
    close(family, prefix.fork([0, 0, 0]).extend(padded, last=last).logits, expected)
    # What was forked is as it was.
    close(family, prefix.extend(TOKENS[None]).logits, full_logits(model, inputs, TOKENS)[-1:])


@pytest.mark.parametrize("family", SHARING)
def test_prompt_run_in_two_parts_equals_a_full_forward(family: str) -> None:
    model = engine(family).model
    inputs, noised = both_inputs(family)
    prepared = prepare(model, inputs, max_new_tokens=8)
    prefix = Branch.prefill(prepared, length=prepared.ids.shape[1] - 4)
    real = prefix.extend(prepared.ids[:, -4:])
    expected = full_logits(model, inputs, TOKENS[:1])
    close(family, real.logits, expected[:1])
    both = real.stack(Branch.prefill(prepare(model, noised, max_new_tokens=8)))
    expected_noised = full_logits(model, noised, TOKENS[:1])
    close(
        family,
        both.extend(TOKENS[:1].repeat(2, 1)).logits,
        torch.stack([expected[1], expected_noised[1]]),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_padded_batch_step_like_full_forwards(family: str) -> None:
    made = engine(family)
    if made.backend.adapter.batches == "alone":
        pytest.skip("rows of this family run one by one")
    conversations = [ask(family), ask(family, LONGER, first=2)]
    branch = Branch.prefill(
        prepare(made.model, made.backend.encoder.encode(conversations), max_new_tokens=8)
    )
    branch = branch.extend(TOKENS[:1].repeat(2, 1)).extend(TOKENS[1:2].repeat(2, 1))
    for row, conversation in enumerate(conversations):
        inputs = made.backend.encoder.encode([conversation])
        close(family, branch.logits[row], full_logits(made.model, inputs, TOKENS[:2])[-1])


@pytest.mark.parametrize("family", SHARING)
def test_rewound_branch_is_as_it_was(family: str) -> None:
    model = engine(family).model
    inputs, _ = both_inputs(family)
    prepared = prepare(model, inputs, max_new_tokens=8)
    assert prepared.can_rewind == RECIPES[family].rewinds
    if not prepared.can_rewind:
        return
    whole = Branch.prefill(prepared)
    earlier = whole.rewound(3)
    assert earlier is not None
    tail = prepared.ids[:, -3:]
    expected = full_logits(model, inputs, TOKENS)
    # Both go on, in either order, and neither disturbs the other.
    fork = earlier.fork([0, 0])
    padded = torch.cat([torch.cat([tail, TOKENS[None, :2]], 1), torch.cat([tail, tail[:, :2]], 1)])
    close(family, fork.extend(padded, last=torch.tensor([4, 2])).logits, expected[[2, 0]])
    close(family, whole.extend(TOKENS[None, :1]).logits, expected[1:2])
    close(family, earlier.extend(tail).logits, expected[:1])
