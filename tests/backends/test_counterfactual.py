"""Pictures of one colour in the model's own units, whatever the layout; padding is left alone."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from guardrail.backends.transformers.counterfactual import (
    GREY,
    counterfactual_inputs,
    grey_of,
    in_one_colour,
)

PROCESSOR = SimpleNamespace(
    do_normalize=True,
    do_rescale=True,
    rescale_factor=1 / 255,
    image_mean=[0.5, 0.25, 0.0],
    image_std=[0.5, 0.25, 0.2],
)
COLOUR = (1.0, -2.0, 3.0)


def _pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ((GREY - 0.5) / 0.5, (GREY - 0.25) / 0.25, GREY / 0.2)),
        ({"do_normalize": False}, (GREY,) * 3),
        ({"do_normalize": False, "do_rescale": False}, (127.0,) * 3),
        ({"rescale_factor": 1 / 127.5, "image_mean": 1.0, "image_std": 1.0}, (2 * GREY - 1,) * 3),
    ],
)
def test_grey_is_in_the_processors_own_units(
    settings: dict[str, object], expected: tuple[float, ...]
) -> None:
    assert grey_of(SimpleNamespace(**{**vars(PROCESSOR), **settings})) == pytest.approx(expected)


def test_every_picture_gets_the_colour_in_every_channel() -> None:
    pixels = _pixels(2, 3, 4, 6)
    flat = in_one_colour(pixels, {}, colour=COLOUR)
    assert torch.equal(flat, torch.tensor(COLOUR).view(1, 3, 1, 1).expand(2, 3, 4, 6))
    last = in_one_colour(pixels.permute(0, 2, 3, 1), {}, colour=COLOUR)
    assert torch.equal(last, flat.permute(0, 2, 3, 1))


def test_mean_colour_is_each_pictures_own() -> None:
    pixels = _pixels(2, 3, 4, 6)
    flat = in_one_colour(pixels, {}, colour=None)
    torch.testing.assert_close(flat, pixels.mean((2, 3), keepdim=True).expand_as(pixels))


def test_padding_tiles_and_masked_pixels_stay_as_they_are() -> None:
    pixels = _pixels(1, 3, 3, 8, 8)
    pixels[0, 2] = 0  # an empty tile
    mask = torch.zeros(1, 3, 8, 8)
    mask[..., :6, :5] = 1
    flat = in_one_colour(pixels, {"pixel_attention_mask": mask}, colour=None)
    assert torch.equal(flat[0, 2], pixels[0, 2])
    assert torch.equal(flat[..., 6:, :], pixels[..., 6:, :])
    assert torch.equal(flat[..., 5:], pixels[..., 5:])
    shown = pixels[0, :2, :, :6, :5]
    torch.testing.assert_close(
        flat[0, :2, :, :6, :5], shown.mean((-2, -1), keepdim=True).expand_as(shown)
    )


@pytest.mark.parametrize("frames_first", [False, True])
def test_flattened_patches_keep_their_order_of_frames_and_channels(frames_first: bool) -> None:
    frame = _pixels(10, 3, 1, 16)
    frames = frame.expand(10, 3, 2, 16)
    patches = (frames.transpose(1, 2) if frames_first else frames).reshape(10, -1)
    grid = {"image_grid_thw": torch.tensor([[1, 2, 3], [1, 2, 2]])}
    flat = in_one_colour(patches, grid, colour=None, temporal_patch=(2, 4))
    shape = (10, 2, 3, 16) if frames_first else (10, 3, 2, 16)
    by_channel = flat.view(shape).transpose(1, 2) if frames_first else flat.view(shape)
    for part, expected in ((slice(0, 6), frame[:6]), (slice(6, 10), frame[6:])):
        own = expected.mean((0, 2, 3)).view(1, 3, 1, 1)
        torch.testing.assert_close(by_channel[part], own.expand_as(by_channel[part]))


def test_features_in_an_unknown_order_get_the_mean_of_all_channels() -> None:
    pixels = _pixels(1, 6, 12)
    flat = in_one_colour(pixels, {}, colour=COLOUR)
    assert torch.equal(flat, torch.full_like(pixels, sum(COLOUR) / 3))
    mean = in_one_colour(pixels, {}, colour=None)
    torch.testing.assert_close(mean, pixels.mean().expand_as(pixels))


def test_inputs_are_not_changed_and_other_inputs_are_passed_on() -> None:
    pixels, ids = _pixels(1, 3, 4, 4), torch.arange(3)
    before, inputs = pixels.clone(), {"pixel_values": pixels, "input_ids": ids}
    for kind in ("noise", "grey", "mean"):
        changed = counterfactual_inputs(
            inputs,
            kind,  # type: ignore[arg-type]
            noise_std=0.5,
            image_processor=PROCESSOR,
        )
        assert torch.equal(pixels, before)
        assert changed["input_ids"] is ids
        assert not torch.equal(changed["pixel_values"], pixels)
        assert changed["pixel_values"].shape == pixels.shape
