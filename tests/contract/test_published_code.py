"""The released code's steps, by full forwards and hand: `published-code`, and forced openings."""

import functools
import math

import pytest
import torch
from torch import Tensor

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.backends.photographs import shown_otherwise
from guardrail.judging.judge import Judge
from guardrail.record.answer import Answer
from guardrail.request.settings import GenerationSettings
from guardrail.steering.published_code import has_begun
from tests.contract.full_forward import full_logits
from tests.contract.guarded import GREEDY, ask, by_word, generated, judged_engine

FAMILY = "llava"
UNSAFE, SAFE = by_word(image=0.9), by_word(image=0.1)
PUBLISHED = load_policy("published-code")


def answered(judge: Judge, policy: Policy = PUBLISHED) -> tuple[SafeCoDe, Answer]:
    guarded = judged_engine(FAMILY, judge, policy)
    return guarded, guarded.answer(ask(FAMILY), GREEDY)


@functools.cache
def forwards(tokens: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Real and noised logits after the prompt and each of `tokens`, by full forwards."""
    guarded = judged_engine(FAMILY, SAFE, PUBLISHED)
    encode = guarded.backend.encoder.encode
    noised = shown_otherwise(ask(FAMILY), "photo-noise", noise_std=0.1)
    said = torch.tensor(tokens, dtype=torch.long)
    real, beside = (
        full_logits(guarded.model, encode([each]), said) for each in (ask(FAMILY), noised)
    )
    assert not torch.equal(real, beside)
    return real, beside


def refusal_tokens(guarded: SafeCoDe) -> Tensor:
    tokenizer = guarded.processor.tokenizer
    ids: set[int] = set()
    for phrase in PUBLISHED.modulation.beginnings:
        ids.update(tokenizer.encode(phrase, add_special_tokens=False))
    return torch.tensor(sorted(ids))


def test_safe_halves_alpha_and_the_refusals_over_the_whole_vocabulary() -> None:
    guarded, answer = answered(SAFE)
    real, noised = forwards(answer.token_ids[:4])
    loose = refusal_tokens(guarded)
    for step in range(5):
        said = guarded.backend.decode(answer.token_ids[:step])
        p = real[step].softmax(-1)
        if not has_begun(said, step):
            p = (real[step] - 0.15 * noised[step]).softmax(-1)
            p[loose] *= 0.5
            p /= p.sum()
        assert answer.token_ids[step] == int(p.argmax())
        likeliest = max(each.guarded for each in answer.decision.steps[step].top)
        assert likeliest == pytest.approx(float(p.max()), rel=1e-3)
    assert answer.decision.contrast.applied


def test_an_answer_that_has_begun_is_steered_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    strong = PUBLISHED.model_copy(
        update={"contrast": {**PUBLISHED.contrast.model_dump(), "alpha": 3.0}}
    )
    _, whole = answered(SAFE, strong)
    monkeypatch.setattr("guardrail.steering.guided.has_begun", lambda text, count: count >= 2)
    _, answer = answered(SAFE, strong)
    assert answer.token_ids[:2] == whole.token_ids[:2]
    real, _ = forwards(answer.token_ids[:5])
    own = [int(each.argmax()) for each in real]
    assert list(answer.token_ids[2:6]) == own[2:6]
    assert answer.token_ids[0] != own[0]


def test_unsafe_forces_the_phrase_whose_tokens_are_likeliest_and_steers_no_more() -> None:
    guarded, answer = answered(UNSAFE)
    real, noised = forwards(())
    p = (real[0] - 0.3 * noised[0]).softmax(-1)
    tokenizer = guarded.processor.tokenizer
    ranked = {
        phrase: sum(
            float(p[token]) for token in tokenizer.encode(phrase, add_special_tokens=False)[:5]
        )
        for phrase in PUBLISHED.modulation.beginnings
        if any(word in phrase.lower() for word in ("sorry", "apologize", "unable", "cannot"))
        or "not allowed" in phrase.lower()
    }
    best = max(ranked, key=lambda phrase: ranked[phrase])
    phrase = tokenizer.encode(best, add_special_tokens=False)[:5]
    assert list(answer.token_ids[: len(phrase)]) == phrase
    real, _ = forwards(answer.token_ids[:5])
    for step in range(len(phrase), 6):
        assert answer.token_ids[step] == int(real[step].argmax())


def test_after_a_short_phrase_the_rest_of_the_guided_steps_is_the_models_own() -> None:
    changed = PUBLISHED.model_copy(
        update={
            "contrast": {**PUBLISHED.contrast.model_dump(), "alpha": 3.0},
            "modulation": {**PUBLISHED.modulation.model_dump(), "beginnings": ["No"]},
        }
    )
    guarded, answer = answered(UNSAFE, changed)
    begun = guarded.backend.tokens("No")
    assert list(answer.token_ids[: len(begun)]) == begun
    assert len(begun) < 4
    real, noised = forwards(answer.token_ids[:4])
    own = [int(each.argmax()) for each in real]
    contrasted = [int(each.argmax()) for each in real - 3.0 * noised]
    assert list(answer.token_ids[len(begun) : 5]) == own[len(begun) :]
    assert contrasted[len(begun) :] != own[len(begun) :]


def test_suppression_is_half_of_the_probability() -> None:
    assert math.exp(-PUBLISHED.modulation.suppress) == pytest.approx(0.5)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "idefics3", "gemma3", "paligemma"])
def test_an_opening_is_said_and_the_rest_is_the_models_own(family: str) -> None:
    base = load_policy("baseline")
    opened = {"form": "opening", "openings": {"comply": "Yes", "refuse": "No"}}
    policy = base.model_copy(
        update={
            "modulation": {**base.modulation.model_dump(), **opened, "ensure_refusal": False},
            "contrast": {**base.contrast.model_dump(), "when": "never", "guided_steps": 1},
        }
    )
    for judge, words in ((SAFE, "Yes"), (UNSAFE, "No")):
        guarded = judged_engine(family, judge, policy)
        begun = guarded.backend.tokens(words)
        answer = guarded.answer(ask(family), GREEDY)
        assert list(answer.token_ids[: len(begun)]) == begun
        inputs = guarded.backend.encoder.encode([ask(family)])
        logits = full_logits(guarded.model, inputs, torch.tensor(answer.token_ids[:-1]))
        for step in range(len(begun), len(answer.token_ids)):
            assert answer.token_ids[step] == int(logits[step].argmax())


def test_off_is_the_model_itself_under_either_form() -> None:
    settings = GenerationSettings(max_new_tokens=6, temperature=0)
    plain = generated(FAMILY, ask(FAMILY), settings)
    guarded = judged_engine(FAMILY, UNSAFE, PUBLISHED)
    assert list(guarded.answer(ask(FAMILY), settings, mode="off").token_ids) == plain
    assert list(guarded.answer(ask(FAMILY), settings, mode="shadow").token_ids) == plain
