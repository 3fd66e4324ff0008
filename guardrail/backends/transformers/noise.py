"""The noised copy of a request's pictures, at the resolution at which the model sees them.

Source: SafeCoDe (arXiv 2509.19212), section 3; noise as in VCD (arXiv 2311.16922). We deviate from
the published code, which adds noise to the photo *before* it is resized, so that a large photo
averages it away: here it is added to the model's own input, in pixel units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

PICTURE_INPUTS = (
    "pixel_values",
    "pixel_values_images",
    "image_pixel_values",
    "pixel_values_local",
    "high_res_pixel_values",
    "image_patches",
)
"""Names under which processors hand pictures to models; videos and masks are not among them."""

_GRIDS = ("image_grid_thw", "image_grid_hw", "target_sizes")
"""Names under which they say how many patches each picture has, along each axis."""


def noised_inputs(
    inputs: Mapping[str, Any], *, noise_std: float, image_processor: Any, seed: int = 0
) -> dict[str, Any]:
    """Returns a shallow copy of `inputs` whose pictures carry Gaussian noise.

    The noise of a picture is a function of its pixels and `seed` alone: the same request gets the
    same noise, alone or in a batch, in any position. Padding stays exactly as it is.

    Args:
        inputs: What the processor made; pictures under one of `PICTURE_INPUTS`.
        noise_std: Standard deviation in [0, 1] pixel units.
        image_processor: Read for `image_std`, `do_normalize`, `do_rescale`, `rescale_factor`,
            `temporal_patch_size` and `patch_size`, to turn pixel units into the model's units.
        seed: Mixed into every picture's own seed.

    Raises:
        ValueError: `noise_std` is negative or above 1.
    """
    if not 0 <= noise_std <= 1:
        raise ValueError(f"noise_std is {noise_std}, expected a number in [0, 1] pixel units")
    noised = dict(inputs)
    for name in PICTURE_INPUTS:
        pixels = inputs.get(name)
        if isinstance(pixels, Tensor) and pixels.is_floating_point() and noise_std > 0:
            noised[name] = add_noise(
                pixels,
                inputs,
                std=channel_std(image_processor, noise_std),
                temporal_patch=temporal_patch(image_processor),
                seed=seed,
            )
    return noised


def channel_std(image_processor: Any, noise_std: float) -> tuple[float, ...]:
    """Returns `noise_std` in the model's own units, one number per channel.

    A processor maps a pixel x in [0, 1] to (x - mean) / std, or to 255 x without rescaling.
    """
    unit = channel_unit(image_processor)
    return tuple(noise_std * unit / std for std in per_channel(image_processor, "image_std", 1.0))


def channel_unit(image_processor: Any) -> float:
    """Returns what a processor makes of a white pixel before it normalises."""
    factor = getattr(image_processor, "rescale_factor", None) or 1 / 255
    return 255 * float(factor) if getattr(image_processor, "do_rescale", True) else 255.0


def per_channel(image_processor: Any, name: str, neutral: float) -> tuple[float, ...]:
    """Returns `image_mean` or `image_std`, a number per channel; `neutral` where it has no part."""
    values = getattr(image_processor, name, None)
    if not getattr(image_processor, "do_normalize", True) or values is None:
        values = neutral
    if isinstance(values, (int, float)):
        values = (values,) * 3
    return tuple(float(value) for value in values)


def temporal_patch(image_processor: Any) -> tuple[int, int] | None:
    """Returns (frames, patch size) of processors that flatten (channel, frame, height, width)."""
    frames = getattr(image_processor, "temporal_patch_size", None)
    size = getattr(image_processor, "patch_size", None)
    return (int(frames), int(size)) if isinstance(frames, int) and isinstance(size, int) else None


def add_noise(
    pixels: Tensor,
    inputs: Mapping[str, Any],
    *,
    std: tuple[float, ...],
    temporal_patch: tuple[int, int] | None = None,
    seed: int = 0,
) -> Tensor:
    """Returns a noised copy of `pixels`; nothing is changed in place.

    Args:
        pixels: (..., channels, height, width); flattened patches, (patches, features) or
            (pictures, patches, features); patches that kept their shape, (patches, channels,
            height, width) or with channels last; or all pictures' patches side by side,
            (1, channels, height, patches * width). Floating point, any device.
        inputs: The other processor outputs, read for padding (`pixel_attention_mask`,
            `image_sizes`) and for where a picture ends (one of `_GRIDS`).
        std: Standard deviation per channel, in the units of `pixels`.
        temporal_patch: (frames, patch size) where features flatten (channel, frame, height,
            width) or (frame, channel, height, width); frames that repeat a picture get the same
            noise.
        seed: Mixed into every picture's own seed.
    """
    noised = pixels.clone(memory_format=torch.contiguous_format)
    for part in own_pixels(noised, inputs):
        noise = _noise_like(part, seed=seed, std=std, temporal_patch=temporal_patch)
        part.add_(noise)  # a view of `noised`
    return noised


def own_pixels(pixels: Tensor, inputs: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yields a view of each picture's (or tile's) own pixels; all-zero tiles are padding."""
    lengths = _patches_of_each(inputs)
    if pixels.dim() == 2 or sum(lengths) == len(pixels):  # (patches of all pictures, ...)
        yield from torch.split(pixels, lengths or [len(pixels)])
        return
    if pixels.dim() == 4 and sum(lengths) * pixels.shape[2] == pixels.shape[3]:  # side by side
        widths = [count * pixels.shape[2] for count in lengths]
        yield from torch.split(pixels[0], widths, dim=-1)
        return
    if pixels.dim() == 3:  # (pictures, patches, features), padding at the end
        for part, shown in zip(pixels, _patches_shown(pixels, inputs), strict=True):
            yield part[:shown]
        return
    # (..., height, width), 1 where there is picture
    mask = inputs.get("pixel_attention_mask", inputs.get("pixel_mask"))
    sizes = inputs.get("image_sizes") if pixels.dim() == 4 else None  # (pictures, 2)
    height, width = pixels.shape[-2:]
    masks = None
    if isinstance(mask, Tensor) and mask.shape[-2:] == (height, width):
        masks = mask.reshape(-1, height, width).bool()
    for at, tile in enumerate(pixels.view(-1, *pixels.shape[-3:])):  # (channels, height, width)
        if not bool(tile.any()):
            continue
        rows, columns = height, width
        if masks is not None:
            rows = int(masks[at].any(1).sum())
            columns = int(masks[at].any(0).sum())
        elif isinstance(sizes, Tensor) and len(sizes) == len(pixels):
            rows, columns = (
                min(int(n), m) for n, m in zip(sizes[at], (height, width), strict=True)
            )
        yield tile[:, :rows, :columns]


def _patches_of_each(inputs: Mapping[str, Any]) -> list[int]:
    """Returns how many patches each picture (or slice of one) has, where the processor says so."""
    for name in _GRIDS:
        grid = inputs.get(name)  # (pictures, 2 or 3)
        if isinstance(grid, Tensor) and grid.dim() == 2:
            return [int(count) for count in grid.prod(-1)]
    return []


def _patches_shown(pixels: Tensor, inputs: Mapping[str, Any]) -> list[int]:
    """Returns how many patches of each picture show something."""
    mask = inputs.get("pixel_attention_mask")  # (pictures, patches), 1 where there is picture
    places = inputs.get("image_position_ids")  # (pictures, patches, 2), -1 where there is none
    if isinstance(places, Tensor) and places.shape[:2] == pixels.shape[:2]:
        mask = (places >= 0).all(-1)
    if not isinstance(mask, Tensor) or mask.shape != pixels.shape[:2]:
        return [pixels.shape[1]] * len(pixels)
    return [int(count) for count in mask.bool().sum(-1)]


def _noise_like(
    part: Tensor,
    *,
    seed: int,
    std: tuple[float, ...],
    temporal_patch: tuple[int, int] | None,
) -> Tensor:
    generator = torch.Generator().manual_seed(_content_seed(part, seed))
    if part.dim() >= 3:  # (..., channels, height, width), or channels last
        noise = torch.randn(part.shape, generator=generator)
        if part.shape[-3] == len(std):
            return (noise * torch.tensor(std).view(-1, 1, 1)).to(part)
        return (noise * torch.tensor(std if part.shape[-1] == len(std) else _mean(std))).to(part)
    patches, features = part.shape
    channels = len(std)
    if temporal_patch and features == channels * temporal_patch[0] * temporal_patch[1] ** 2:
        frames, size = temporal_patch
        # One frame's noise serves all frames: they repeat the same picture.
        noise = torch.randn(patches, channels, 1, size, size, generator=generator)
        noise = noise * torch.tensor(std).view(1, -1, 1, 1, 1)
        noise = noise.expand(-1, -1, frames, -1, -1)
        if frames_first(part, channels, frames):
            noise = noise.transpose(1, 2)
        return noise.reshape(patches, features).to(part)
    # The order of features is not known here: all channels get the mean of their scales.
    return (torch.randn(part.shape, generator=generator) * _mean(std)).to(part)


def frames_first(part: Tensor, channels: int, frames: int) -> bool:
    """Whether patches flatten (frame, channel, ...), as their repeated frames tell."""
    repeated = _repeats(part, (channels, frames), 2)
    return not repeated and _repeats(part, (frames, channels), 1)


def _repeats(part: Tensor, shape: tuple[int, int], dim: int) -> bool:
    """Whether patches laid out in `shape` are the same all along `dim`."""
    laid_out = part.view(len(part), *shape, -1)
    return bool((laid_out == laid_out.narrow(dim, 0, 1)).all())


def _content_seed(part: Tensor, seed: int) -> int:
    raw = part.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
    digest = hashlib.blake2b(raw, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big") >> 1  # manual_seed takes 63 bits


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
