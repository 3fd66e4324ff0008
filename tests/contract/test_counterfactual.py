"""The noised branch sees the counterfactual asked for: its logits are those of a full forward."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from guardrail.backends.transformers.counterfactual import counterfactual_inputs
from guardrail.backends.transformers.noise import PICTURE_INPUTS, noised_inputs
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation, Picture, question
from tests.contract.full_forward import full_logits
from tests.contract.guarded import GREEDY, LONGER, ask, engine, policy, shown
from tests.families import FAMILIES

NOTHING = torch.tensor([], dtype=torch.long)
SQUARE = (32, 32)
"""Onto wide pictures some processors paint a border, which is then part of what the model sees."""
GREY = (127, 127, 127)
BROWN = (150, 100, 30)
UNORDERED = (
    "cosmos3_edge",
    "fuyu",
    "gemma4",
    "gemma4_unified",
    "lfm2_vl",
    "molmo2",
    "nemotron_h_omni",
)
"""Families whose patches flatten colours in an order that is not known: `mean` is a grey there."""
BORDERED = ("inkling_mm_model", "kimi_k25")
"""Families whose processors paint a border even on square pictures: it is taken for picture."""
NEARLY_GREY = (*BORDERED, "nemotron_h_omni")
"""Where `grey` is one colour, but not all that a grey picture is (above; its channels differ)."""


def asked_about_noise() -> Conversation:
    return question(LONGER, [shown(0, SQUARE)])


def of_one_colour(colour: tuple[int, int, int]) -> Conversation:
    """The same request about a picture of one colour."""
    return question(LONGER, [Picture(Image.new("RGB", SQUARE, colour), f"{colour}")])


def encoded(family: str, conversation: Conversation) -> dict[str, Any]:
    inputs: dict[str, Any] = engine(family).backend.encoder.encode([conversation])
    return inputs


def other(family: str, inputs: dict[str, Any], kind: Counterfactual) -> dict[str, Any]:
    image_processor = getattr(engine(family).processor, "image_processor", None)
    return counterfactual_inputs(inputs, kind, noise_std=0.2, image_processor=image_processor)


def branches(family: str, conversation: Conversation, kind: Counterfactual) -> tuple[Tensor, Any]:
    """Next-token logits of both branches, by the run that steering uses."""
    run = engine(family).backend.start([conversation], GREEDY)
    run.prefill(lambda _: nullcontext())
    run.contrast_with(kind, noise_std=0.2)
    return run.logits()


def close(family: str, actual: Tensor, expected: Tensor) -> None:
    atol = 5e-4 if family == "gemma4" else 1e-4  # see test_branches
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_grey_branch_gives_the_logits_of_a_full_forward_on_a_grey_picture(family: str) -> None:
    asked = asked_about_noise()
    real, grey = branches(family, asked, "grey")
    replaced = other(family, encoded(family, asked), "grey")
    close(family, grey, full_logits(engine(family).model, replaced, NOTHING))
    if family not in NEARLY_GREY:
        close(family, grey, full_logits(engine(family).model, grey_picture(family, asked), NOTHING))
    assert (real - grey).abs().max() > 1e-3


def grey_picture(family: str, asked: Conversation) -> dict[str, Any]:
    """What the family's processor makes of a grey picture of the same size."""
    made = encoded(family, of_one_colour(GREY))
    replaced = other(family, encoded(family, asked), "grey")
    for name in PICTURE_INPUTS:
        if name in made:
            torch.testing.assert_close(replaced[name], made[name], atol=2e-6, rtol=0)
    return made


@pytest.mark.parametrize(
    "family", [each for each in FAMILIES if each not in (*UNORDERED, *BORDERED)]
)
def test_mean_branch_of_a_picture_of_one_colour_is_the_real_one(family: str) -> None:
    asked = of_one_colour(BROWN)
    real, mean = branches(family, asked, "mean")
    close(family, mean, real)
    close(family, mean, full_logits(engine(family).model, encoded(family, asked), NOTHING))
    _, grey = branches(family, asked, "grey")
    assert (grey - mean).abs().max() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_mean_branch_gives_the_logits_of_a_full_forward_and_keeps_the_mean(family: str) -> None:
    asked = asked_about_noise()
    inputs = encoded(family, asked)
    replaced = other(family, inputs, "mean")
    assert {name for name in inputs if inputs[name] is not replaced[name]} <= set(PICTURE_INPUTS)
    for name in PICTURE_INPUTS:
        if name in inputs:
            assert replaced[name].shape == inputs[name].shape
            torch.testing.assert_close(replaced[name].mean(), inputs[name].mean())
            assert replaced[name].std() < inputs[name].std()
    real, mean = branches(family, asked, "mean")
    close(family, mean, full_logits(engine(family).model, replaced, NOTHING))
    assert (real - mean).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_is_the_noise_that_it_was(family: str) -> None:
    asked = asked_about_noise()
    inputs = encoded(family, asked)
    image_processor = getattr(engine(family).processor, "image_processor", None)
    noised = noised_inputs(inputs, noise_std=0.2, image_processor=image_processor)
    _, found = branches(family, asked, "noise")
    close(family, found, full_logits(engine(family).model, noised, NOTHING))


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "idefics2", "mllama"])
@pytest.mark.parametrize("kind", ["grey", "mean"])
def test_record_says_what_the_picture_was_contrasted_with(family: str, kind: str) -> None:
    made = engine(family)
    changes = {
        "contrast": {"counterfactual": kind},
        "judge": {"competence": {"evidence": "none"}},
    }
    decision = made.answer(ask(family), GREEDY, policy=policy(changes)).decision
    assert decision.contrast.applied
    assert decision.contrast.counterfactual == kind
    assert decision.contrast.noise_std == 0.0
    assert all(step.divergence is not None for step in decision.steps)
