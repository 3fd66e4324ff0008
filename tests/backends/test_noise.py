from types import SimpleNamespace

import pytest
import torch

from guardrail.backends.transformers.noise import add_noise, channel_std, noised_inputs

PROCESSOR = SimpleNamespace(
    do_normalize=True, do_rescale=True, rescale_factor=1 / 255, image_std=[0.5, 0.25, 0.2]
)


def _pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_standard_deviation_is_in_pixel_units_per_channel() -> None:
    pixels = _pixels(2, 3, 96, 96)
    noised = noised_inputs({"pixel_values": pixels}, noise_std=0.1, image_processor=PROCESSOR)
    noise = noised["pixel_values"] - pixels
    measured = noise.transpose(0, 1).flatten(1).std(1).tolist()
    assert measured == pytest.approx([0.2, 0.4, 0.5], rel=0.03)
    assert noise.mean().abs() < 0.01


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"do_normalize": False}, 0.1),
        ({"do_rescale": False, "do_normalize": False}, 25.5),
        ({"image_std": 0.5}, 0.2),
        ({"rescale_factor": 1 / 127.5, "image_std": [1, 1, 1]}, 0.2),
    ],
)
def test_pixel_units_follow_the_processors_own_scaling(
    settings: dict[str, object], expected: float
) -> None:
    processor = SimpleNamespace(**{**vars(PROCESSOR), **settings})
    assert channel_std(processor, 0.1)[0] == pytest.approx(expected)


def test_the_same_picture_gets_the_same_noise_anywhere() -> None:
    one, two = _pixels(1, 3, 8, 8, seed=1), _pixels(1, 3, 8, 8, seed=2)
    alone = add_noise(one, {}, std=(0.1,) * 3)
    together = add_noise(torch.cat([two, one]), {}, std=(0.1,) * 3)
    assert torch.equal(together[1:], alone)
    assert not torch.equal(add_noise(one, {}, std=(0.1,) * 3, seed=1), alone)


def test_padding_tiles_and_masked_pixels_stay_as_they_are() -> None:
    pixels = _pixels(1, 3, 3, 8, 8)
    pixels[0, 2] = 0  # an empty tile
    mask = torch.zeros(1, 3, 8, 8)
    mask[..., :6, :5] = 1
    noised = add_noise(pixels, {"pixel_attention_mask": mask}, std=(0.1,) * 3)
    changed = noised != pixels
    assert not changed[0, 2].any()
    assert changed[0, :2, :, :6, :5].all()
    assert not changed[..., 6:, :].any()
    assert not changed[..., 5:].any()


def test_noise_of_a_padded_picture_does_not_depend_on_the_padding() -> None:
    small = _pixels(1, 3, 4, 6)
    padded = torch.zeros(1, 3, 8, 8)
    padded[..., :4, :6] = small
    sizes = {"image_sizes": torch.tensor([[4, 6]])}
    noised = add_noise(padded, sizes, std=(0.1,) * 3)
    assert torch.equal(noised[..., :4, :6], add_noise(small, sizes, std=(0.1,) * 3))


def test_repeated_frames_get_the_same_noise() -> None:
    pixels = _pixels(10, 3, 1, 4, 4).expand(-1, -1, 2, -1, -1).reshape(10, -1)
    grid = torch.tensor([[1, 2, 3], [1, 2, 2]])
    noised = add_noise(pixels, {"image_grid_thw": grid}, std=(0.1, 0.2, 0.3), temporal_patch=(2, 4))
    frames = (noised - pixels).view(10, 3, 2, 4, 4)
    torch.testing.assert_close(frames[:, :, 0], frames[:, :, 1])
    second_alone = add_noise(
        pixels[6:], {"image_grid_thw": grid[1:]}, std=(0.1, 0.2, 0.3), temporal_patch=(2, 4)
    )
    assert torch.equal(noised[6:], second_alone)


def test_repeated_frames_in_front_of_the_channels_get_the_same_noise_too() -> None:
    pixels = _pixels(10, 1, 3, 4, 4).expand(-1, 2, -1, -1, -1).reshape(10, -1)
    noised = add_noise(pixels, {}, std=(0.1, 0.2, 0.3), temporal_patch=(2, 4))
    frames = (noised - pixels).view(10, 2, 3, 4, 4)
    torch.testing.assert_close(frames[:, 0], frames[:, 1])
    scales = frames.std(dim=(0, 1, 3, 4))
    torch.testing.assert_close(scales, torch.tensor([0.1, 0.2, 0.3]), rtol=0.2, atol=0)


@pytest.mark.parametrize("name", ["image_grid_thw", "image_grid_hw", "target_sizes"])
@pytest.mark.parametrize("shape", [(12,), (3, 2, 2), (2, 2, 3)], ids=["flat", "first", "last"])
def test_noise_of_a_picture_in_patches_does_not_depend_on_its_neighbours(
    name: str, shape: tuple[int, ...]
) -> None:
    grid = torch.tensor([[2, 3], [2, 2]])
    pixels = _pixels(10, *shape)
    noised = add_noise(pixels, {name: grid}, std=(0.1,) * 3)
    alone = add_noise(pixels[6:], {name: grid[1:]}, std=(0.1,) * 3)
    assert torch.equal(noised[6:], alone)
    # Patches that look alike are noised each on its own.
    flat = add_noise(torch.full_like(pixels, 0.5), {name: grid}, std=(0.1,) * 3)
    assert not torch.equal(flat[0], flat[1])


def test_noise_of_pictures_side_by_side_does_not_depend_on_the_neighbours() -> None:
    sizes = torch.tensor([[2, 3], [1, 2]])
    pixels = _pixels(1, 3, 4, 4 * 8)
    noised = add_noise(pixels, {"target_sizes": sizes}, std=(0.1,) * 3)
    alone = add_noise(pixels[..., 24:], {"target_sizes": sizes[1:]}, std=(0.1,) * 3)
    assert torch.equal(noised[..., 24:], alone)


def test_inputs_are_not_changed_and_other_inputs_are_passed_on() -> None:
    pixels, ids = _pixels(1, 3, 4, 4), torch.arange(3)
    before = pixels.clone()
    noised = noised_inputs(
        {"pixel_values": pixels, "input_ids": ids}, noise_std=0.5, image_processor=PROCESSOR
    )
    assert torch.equal(pixels, before)
    assert noised["input_ids"] is ids


def test_noise_of_zero_changes_nothing_and_nonsense_is_refused() -> None:
    pixels = _pixels(1, 3, 4, 4)
    inputs = {"pixel_values": pixels}
    assert noised_inputs(inputs, noise_std=0, image_processor=PROCESSOR)["pixel_values"] is pixels
    with pytest.raises(ValueError, match=r"noise_std is 1\.5"):
        noised_inputs(inputs, noise_std=1.5, image_processor=PROCESSOR)
