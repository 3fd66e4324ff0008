"""Mode `off` is `generate()`; mode `shadow` says the same and computes everything."""

import pytest

from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import GREEDY, LONGER, SAMPLED, TEXT_ONLY, ask, engine, generated
from tests.families import FAMILIES

SETTINGS = [pytest.param(GREEDY, id="greedy"), pytest.param(SAMPLED, id="sampled")]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_off_equals_generate(family: str, settings: GenerationSettings) -> None:
    conversation = ask(family, LONGER, count=2)
    answer = engine(family).answer(conversation, settings, mode="off")
    assert list(answer.token_ids) == generated(family, conversation, settings)
    assert answer.decision.verdict.label is None
    assert answer.decision.steps == []


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_shadow_equals_generate_and_records_everything(
    family: str, settings: GenerationSettings
) -> None:
    conversation = ask(family)
    answer = engine(family).answer(conversation, settings, mode="shadow")
    assert list(answer.token_ids) == generated(family, conversation, settings)
    decision = answer.decision
    assert decision.errors == []
    assert set(decision.verdict.categories) == {"injury", "fire"}
    assert decision.contrast.applied
    assert [step.step for step in decision.steps] == [0, 1, 2]
    assert all(step.divergence is not None and step.top for step in decision.steps)


@pytest.mark.parametrize("family", TEXT_ONLY)
def test_off_and_shadow_without_a_picture(family: str) -> None:
    conversation = ask(family, count=0)
    expected = generated(family, conversation, GREEDY)
    for mode in ("off", "shadow"):
        answer = engine(family).answer(conversation, GREEDY, mode=mode)
        assert list(answer.token_ids) == expected
    assert not answer.decision.contrast.applied
    assert answer.decision.contrast.skipped == "there is no picture"
    assert answer.decision.verdict.label is not None


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "mllama"])
def test_callers_own_processors_count(family: str) -> None:
    conversation = ask(family)
    settings = GenerationSettings(
        max_new_tokens=8,
        temperature=0.8,
        top_k=30,
        seed=5,
        extra={"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 8},
    )
    expected = generated(family, conversation, settings)
    assert len(expected) == 8
    for mode in ("off", "shadow"):
        answer = engine(family).answer(conversation, settings, mode=mode)
        assert list(answer.token_ids) == expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_long_sampled_answers_equal_generate(family: str, seed: int) -> None:
    conversation = ask(family, LONGER, count=2, first=seed)
    settings = GenerationSettings(max_new_tokens=40, temperature=1.0, seed=seed)
    expected = generated(family, conversation, settings)
    for mode in ("off", "shadow"):
        answer = engine(family).answer(conversation, settings, mode=mode)
        assert list(answer.token_ids) == expected
