"""Verdicts steer as specified: what the guided steps do is what the equations say, and no more."""

import pytest
import torch
from torch import Tensor

from guardrail import SafeCoDe
from guardrail.backends.transformers.noise import noised_inputs
from guardrail.policy.refusals import is_refusal
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation
from tests.contract.full_forward import full_logits
from tests.contract.guarded import GREEDY, TEXT_ONLY, ask, by_word, engine, judged_engine, policy
from tests.families import FAMILIES

UNSAFE, SAFE, UNSURE = by_word(image=1.0), by_word(image=0.0), by_word(image=0.5)
AT_ONCE = {"en": {"phrases": ["N", "S"]}}
"""Refusals that one token makes whole: what these models say after it is anything."""
FIXED = {"modulation": {"scale": "fixed"}}


def steered(
    guarded: SafeCoDe, conversation: Conversation, answer: Answer, delta: float, form: str
) -> list[Tensor]:
    """The guided steps' logits by hand: full forwards, then the equations of the method."""
    inputs = guarded.backend.encoder.encode([conversation])
    noised = noised_inputs(
        inputs,
        noise_std=0.1,
        image_processor=getattr(guarded.processor, "image_processor", None),
    )
    said = torch.tensor(answer.token_ids[:2])
    index = guarded.refusal_index(guarded.policy.phrases)
    logits = []
    for step, (z, z_noised) in enumerate(
        zip(
            full_logits(guarded.model, inputs, said),
            full_logits(guarded.model, noised, said),
            strict=True,
        )
    ):
        if form == "paper":
            result = z - 0.3 * z_noised
            refusal = torch.isin(torch.arange(len(z)), torch.from_numpy(index.loose_tokens))
            refusal &= torch.isin(torch.arange(len(z)), result.topk(20).indices)
        else:
            log_p, log_p_noised = z.log_softmax(-1), z_noised.log_softmax(-1)
            inside = log_p.exp() >= 0.1 * log_p.exp().max()
            contrasted = (log_p + 0.3 * (log_p - log_p_noised)).exp()
            share = log_p.exp()[inside].sum() / contrasted[inside].sum()
            result = torch.where(inside, (contrasted * share).log(), log_p)
            found = index.beginnings(index.spell(answer.token_ids[:step])).steerable
            refusal = torch.isin(torch.arange(len(z)), torch.from_numpy(found))
        logits.append(result + delta * refusal)
    return logits


@pytest.mark.parametrize("form", ["default", "paper"])
@pytest.mark.parametrize(
    ("judge", "delta"),
    [
        pytest.param(UNSAFE, 4.0, id="unsafe"),
        pytest.param(SAFE, -4.0, id="safe"),
        pytest.param(UNSURE, 0.0, id="unsure"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_guided_steps_are_the_method_s_equations(
    family: str, judge: object, delta: float, form: str
) -> None:
    modulation = {"form": "paper" if form == "paper" else "phrase", "scale": "fixed"}
    chosen = policy({"contrast": {"form": form}, "modulation": modulation})
    guarded = judged_engine(family, judge, chosen)  # type: ignore[arg-type]
    answer = guarded.answer(ask(family), GREEDY)
    by_hand = steered(guarded, ask(family), answer, delta, form)
    index = guarded.refusal_index(chosen.phrases)
    for step, logits in enumerate(by_hand):
        assert answer.token_ids[step] == int(logits.argmax())
        found = index.beginnings(index.spell(answer.token_ids[:step]))
        p = logits.softmax(-1)
        certain, possible = float(p[found.whole].sum()), float(p[found.all].sum())
        mass = answer.decision.steps[step].refusal_mass_after
        assert certain - 1e-4 <= mass <= possible + 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_unsafe_raises_and_safe_lowers_the_mass_of_refusals(family: str) -> None:
    # Contrast may move refusals either way.
    alone = policy({"contrast": {"when": "never"}}, refusals=AT_ONCE)
    for judge, sign in ((UNSAFE, 1), (SAFE, -1)):
        decision = judged_engine(family, judge, alone).answer(ask(family), GREEDY).decision
        assert decision.action == ("refuse" if sign > 0 else "comply")
        first = decision.steps[0]
        assert first.refusal_mass_before > 0
        assert sign * (first.refusal_mass_after - first.refusal_mass_before) > 0
        # A token once steered may lead away from every phrase: then nothing is left to steer.
        for step in decision.steps[1:]:
            assert step.refusal_mass_before > 0 or step.refusal_mass_after == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_strong_boost_makes_any_model_refuse_and_suppression_stops_it(family: str) -> None:
    forced = policy(
        {"contrast": {"guided_steps": 40}, "modulation": {"boost": 100.0, "scale": "fixed"}}
    )
    settings = type(GREEDY)(max_new_tokens=12, temperature=0, extra={"min_new_tokens": 12})
    refusal = judged_engine(family, UNSAFE, forced).answer(ask(family), settings)
    spoken = refusal.text.lstrip().lower()
    assert spoken.startswith(tuple(phrase.lower() for phrase in forced.phrases))
    assert refusal.decision.outcome.refused == is_refusal(refusal.text, forced.phrases)
    # What the model would say is declared a refusal: suppressed, it says something else.
    said = judged_engine(family, UNSAFE).answer(ask(family), settings, mode="off")
    opening = engine(family).backend.encoder.decode(said.token_ids[:1]).strip()
    if not (opening.isascii() and opening.isalnum()):
        return
    banned = policy(
        {"modulation": {"suppress": 100.0, "scale": "fixed"}, "contrast": {"when": "never"}},
        refusals={"en": {"phrases": [opening]}},
    )
    other = judged_engine(family, SAFE, banned).answer(ask(family), settings)
    assert other.token_ids[0] != said.token_ids[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_changes_without_contrast_and_modulation(family: str) -> None:
    expected = engine(family).answer(ask(family), GREEDY, mode="off").token_ids
    nothing = {"modulation": {"boost": 0.0, "suppress": 0.0}}
    for contrast in ({"alpha": 0.0}, {"when": "never"}, {"noise_std": 0.0}, {"guided_steps": 0}):
        idle = policy({"contrast": contrast, **nothing})
        judge = SAFE if "alpha" in contrast else UNSAFE
        answer = judged_engine(family, judge, idle).answer(ask(family), GREEDY)
        assert answer.token_ids == expected
    off = policy({"contrast": {"alpha": 0.0}, "modulation": {"form": "off"}})
    assert judged_engine(family, UNSAFE, off).answer(ask(family), GREEDY).token_ids == expected


@pytest.mark.parametrize("family", TEXT_ONLY)
def test_verdicts_steer_without_a_picture_too(family: str) -> None:
    guarded = judged_engine(family, UNSAFE, policy(refusals=AT_ONCE))
    decision = guarded.answer(ask(family, count=0), GREEDY).decision
    assert not decision.contrast.applied
    assert decision.steps[0].divergence is None
    assert decision.steps[0].refusal_mass_after > decision.steps[0].refusal_mass_before


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "mllama"])
def test_a_failing_judge_blocks(family: str) -> None:
    def failing(request: object) -> float:
        raise RuntimeError("out of order")

    answer = judged_engine(family, failing).answer(ask(family), GREEDY)
    assert answer.token_ids == ()
    assert answer.decision.verdict.label == "unavailable"
    assert answer.decision.outcome.finish_reason == "blocked"


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_guided_steps_are_guided(family: str) -> None:
    """After the guided steps the real branch goes on as if it had always been alone."""
    guarded = judged_engine(family, UNSAFE, policy(FIXED))
    answer = guarded.answer(ask(family), GREEDY)
    inputs = guarded.backend.encoder.encode([ask(family)])
    logits = full_logits(guarded.model, inputs, torch.tensor(answer.token_ids[:-1]))
    assert len(answer.decision.steps) == min(3, len(answer.token_ids))
    for step in range(3, len(answer.token_ids)):
        assert answer.token_ids[step] == int(logits[step].argmax())
