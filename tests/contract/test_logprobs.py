"""Log-probabilities are those of the logits that each token was chosen from."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from guardrail import SafeCoDe
from guardrail.record.answer import Answer
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import GREEDY, SAMPLED, ask, by_word, engine, judged_engine, policy
from tests.contract.test_batches import VERDICTS, rows
from tests.contract.test_steering import steered

FAMILIES = ["llava", "qwen2_5_vl", "blip-2"]
TOLD = replace(GREEDY, logprobs=True, top_logprobs=3)


def checked(guarded: SafeCoDe, answer: Answer, logits: list[Tensor]) -> None:
    """Compares with the logits of the answer's first tokens, (vocabulary,) each."""
    vocabulary = guarded.backend.vocabulary()
    said = [e for e in answer.token_ids if e < len(vocabulary) and vocabulary[e] is not None]
    assert answer.logprobs is not None
    assert [each.bytes for each in answer.logprobs] == [tuple(vocabulary[e] or b"") for e in said]
    assert len(said) == len(answer.token_ids), "a control token would put places out of step"
    for token, told, row in zip(answer.token_ids, answer.logprobs, logits, strict=False):
        log_p = row.float().log_softmax(-1)
        assert told.logprob == pytest.approx(float(log_p[token]), abs=1e-4)
        best = log_p.topk(len(told.top_logprobs)).values.tolist()
        assert [each.logprob for each in told.top_logprobs] == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
def test_unguarded_they_are_generates_own(family: str, settings: GenerationSettings) -> None:
    guarded, conversation = engine(family), ask(family)
    inputs = guarded.backend.encoder.encode([conversation])
    if settings.seed is not None:
        torch.manual_seed(settings.seed)
    arguments: dict[str, Any] = settings.generate_arguments()
    made = guarded.model.generate(
        **inputs, **arguments, output_logits=True, return_dict_in_generate=True
    )
    for mode in ("off", "shadow"):
        told = replace(settings, logprobs=True, top_logprobs=5)
        answer = guarded.answer(conversation, told, mode=mode)
        assert all(len(each.top_logprobs) == 5 for each in answer.logprobs or ())
        checked(guarded, answer, [each[0] for each in made.logits])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("p", "delta"), [(1.0, 4.0), (0.0, -4.0)])
def test_guided_steps_are_told_as_they_were_steered(family: str, p: float, delta: float) -> None:
    chosen = policy({"modulation": {"scale": "fixed"}})
    guarded = judged_engine(family, by_word(image=p), chosen)
    answer = guarded.answer(ask(family), TOLD)
    checked(guarded, answer, steered(guarded, ask(family), answer, delta, "default"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_tells_what_its_rows_tell_alone(family: str) -> None:
    guarded = judged_engine(family, VERDICTS)
    # Rows that end early leave the batch, and places stay right.
    settings = replace(TOLD, max_new_tokens=8, stop=("e", "o"))
    conversations = rows(family)
    batched = guarded.batch(conversations, settings)
    assert len({len(each.token_ids) for each in batched}) > 1 or family != "llava"
    for answer, conversation in zip(batched, conversations, strict=True):
        alone = guarded.answer(conversation, settings)
        assert answer.text == alone.text
        assert [e.token for e in answer.logprobs or ()] == [e.token for e in alone.logprobs or ()]
        for one, other in zip(answer.logprobs or (), alone.logprobs or (), strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
