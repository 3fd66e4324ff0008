"""The picture matters: noise moves the logits, the same way every time, and never the padding."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from guardrail.backends.transformers.noise import PICTURE_INPUTS, channel_std, noised_inputs
from guardrail.request.conversation import Conversation, question
from tests.contract.guarded import GREEDY, LONGER, SEVERAL_PICTURES, ask, engine, shown
from tests.families import FAMILIES, RECIPES


def pixels(inputs: dict[str, Any]) -> list[Tensor]:
    """The pictures; some families see them at two resolutions."""
    return [inputs[name] for name in PICTURE_INPUTS if name in inputs]


def noise_of(family: str, conversations: Sequence[Conversation], std: float = 0.1) -> list[Tensor]:
    """What noise adds to the pictures of one batch."""
    made = engine(family)
    inputs = made.backend.encoder.encode(conversations)
    noised = noised_inputs(
        inputs, noise_std=std, image_processor=getattr(made.processor, "image_processor", None)
    )
    assert {name for name in inputs if inputs[name] is not noised[name]} <= set(PICTURE_INPUTS)
    return [b - a for a, b in zip(pixels(inputs), pixels(noised), strict=True)]


def values(noise: list[Tensor]) -> Tensor:
    """Everything that is not zero, in order of size: padding and places left out."""
    return torch.cat([each[each != 0] for each in noise]).sort().values


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_moves_the_answer(family: str) -> None:
    decision = engine(family).answer(ask(family), GREEDY).decision
    assert decision.contrast.applied
    assert decision.contrast.noise_std == 0.1
    for step in decision.steps:
        assert step.divergence is not None
        assert step.divergence > 1e-6
        assert any(each.noised != each.real for each in step.top)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_is_the_same_every_time_and_in_any_batch(family: str) -> None:
    rows = [
        question("What is this?", [shown(0)]),
        question(LONGER, [shown(1, (24, 32))]),
    ]
    if family in SEVERAL_PICTURES:
        rows.append(question("And these?", [shown(2), shown(3, (48, 32))]))
    alone = [noise_of(family, [row]) for row in rows]
    assert torch.equal(values(alone[0]), values(noise_of(family, rows[:1])))
    if RECIPES[family].most_pictures == 1:
        rows, alone = rows[:2], alone[:2]
    if engine(family).backend.adapter.batches == "alone":
        return
    batched = noise_of(family, rows)
    torch.testing.assert_close(
        values(batched), torch.cat([values(each) for each in alone]).sort().values, atol=0, rtol=0
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_has_the_asked_strength_in_pixel_units(family: str) -> None:
    made = engine(family)
    expected = channel_std(getattr(made.processor, "image_processor", None), 0.1)
    noise = values(noise_of(family, [ask(family)]))
    assert len(noise) > 300
    assert float(noise.std()) == pytest.approx(sum(expected) / len(expected), rel=0.2)
    assert abs(float(noise.mean())) < 0.2 * float(noise.std())


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_stays_as_it_is(family: str) -> None:
    made = engine(family)
    conversations = [ask(family)]
    if family in SEVERAL_PICTURES and made.backend.adapter.batches == "any":
        conversations.append(question("And these?", [shown(2), shown(3, (48, 32))]))
    inputs = made.backend.encoder.encode(conversations)
    mask = inputs.get("pixel_attention_mask")
    for clean, noise in zip(pixels(inputs), noise_of(family, conversations), strict=True):
        if mask is not None and mask.shape[-2:] == noise.shape[-2:]:
            hidden = (mask == 0).reshape(-1, *mask.shape[-2:])[:, None]
            assert not noise.reshape(-1, *noise.shape[-3:])[
                hidden.expand(-1, noise.shape[-3], -1, -1)
            ].any()
        if noise.dim() > 3:
            tiles = noise.reshape(-1, *noise.shape[-3:])
            empty = ~clean.reshape(tiles.shape).flatten(1).any(-1)
            assert not tiles[empty].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_strength_there_is_no_noise(family: str) -> None:
    assert not any(noise.any() for noise in noise_of(family, [ask(family)], std=0.0))
