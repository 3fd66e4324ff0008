"""Half precision runs on a CPU as well; exactness is float32's."""

import copy
import math

import pytest
import torch

from guardrail import SafeCoDe
from tests.contract.guarded import GREEDY, ask, by_word, engine


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "idefics3"])
def test_half_precision_is_guarded_all_the_same(family: str, dtype: torch.dtype) -> None:
    shared = engine(family)
    model = copy.deepcopy(shared.model).to(dtype)
    guarded = SafeCoDe(
        model=model, processor=shared.processor, policy=shared.policy, judge=by_word(image=0.9)
    )
    decision = guarded.answer(ask(family), GREEDY).decision
    assert decision.errors == []
    assert decision.contrast.applied
    for step in decision.steps:
        assert math.isfinite(step.refusal_mass_after)
        assert step.divergence is not None
        assert step.divergence > 0
    first = decision.steps[0]
    assert first.refusal_mass_after > first.refusal_mass_before
    inputs = guarded.backend.encoder.encode([ask(family)])
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    expected = model.generate(**inputs, **GREEDY.generate_arguments())
    answer = guarded.answer(ask(family), GREEDY, mode="off")
    assert list(answer.token_ids) == expected[0, inputs["input_ids"].shape[1] :].tolist()
    judged = SafeCoDe(model=model, processor=shared.processor, policy=shared.policy)
    assert judged.answer(ask(family), GREEDY).decision.verdict.error is None
