"""The counterfactual of a request's pictures, which the second branch sees: noise, grey or mean.

Pixels alone are replaced, at the resolution at which the model sees them: shapes, token counts and
padding stay as they are in every family. It knows nothing of what the branches are compared for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from guardrail.backends.photographs import shown_otherwise
from guardrail.backends.transformers.noise import (
    PICTURE_INPUTS,
    channel_unit,
    frames_first,
    noised_inputs,
    own_pixels,
    per_channel,
    temporal_patch,
)
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation

GREY = 127 / 255
"""The grey of a grey picture, in pixel units: a byte's, so that a picture can be made of it."""

_Patch = tuple[int, int] | None


def counterfactual_inputs(
    inputs: Mapping[str, Any],
    kind: Literal["noise", "grey", "mean"],
    *,
    noise_std: float,
    image_processor: Any,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns a shallow copy of `inputs` with other pictures.

    Args:
        inputs: What the processor made; pictures under one of `PICTURE_INPUTS`.
        kind: `noise` adds Gaussian noise, `grey` makes a grey picture of each, `mean` one of its
            own mean colour. Where a processor cuts pictures into tiles, each tile has its own mean.
            Borders that a processor has painted on are part of the picture.
        noise_std: For `noise`: standard deviation in [0, 1] pixel units.
        image_processor: Read for what turns pixel units into the model's units, as for noise, and
            for `image_mean`.
        seed: For `noise`: mixed into every picture's own seed.

    Raises:
        ValueError: `noise_std` is negative or above 1.
    """
    if kind == "noise":
        return noised_inputs(
            inputs, noise_std=noise_std, image_processor=image_processor, seed=seed
        )
    changed = dict(inputs)
    for name in PICTURE_INPUTS:
        pixels = inputs.get(name)
        if isinstance(pixels, Tensor) and pixels.is_floating_point():
            colour = grey_of(image_processor) if kind == "grey" else None
            patch = temporal_patch(image_processor)
            changed[name] = in_one_colour(pixels, inputs, colour=colour, temporal_patch=patch)
    return changed


def other_inputs(
    inputs: Mapping[str, Any],
    conversations: Sequence[Conversation],
    kind: Counterfactual,
    rows: Sequence[int],
    *,
    noise_std: float,
    seed: int,
    image_processor: Any,
    encode: Callable[[Sequence[Conversation]], Mapping[str, Any]],
) -> Mapping[str, Any]:
    """Returns the inputs of some requests, or of all of them, with other pictures.

    Args:
        inputs: Of all of them.
        conversations: The requests.
        kind: What the pictures are.
        rows: Which of them are wanted; all, where `has_rows` is false or photographs are noised.
        noise_std: As for `counterfactual_inputs`.
        seed: As for `counterfactual_inputs`.
        image_processor: As for `counterfactual_inputs`.
        encode: Encodes requests whose photographs were changed.
    """
    if kind == "photo-noise":
        return encode(
            [shown_otherwise(e, kind, noise_std=noise_std, seed=seed) for e in conversations]
        )
    if len(rows) < len(conversations):
        inputs = {name: value[list(rows)] for name, value in inputs.items()}
    return counterfactual_inputs(
        inputs, kind, noise_std=noise_std, image_processor=image_processor, seed=seed
    )


def grey_of(image_processor: Any) -> tuple[float, ...]:
    """Returns grey in the model's own units, one number per channel."""
    unit = channel_unit(image_processor)
    means = per_channel(image_processor, "image_mean", 0.0)
    stds = per_channel(image_processor, "image_std", 1.0)
    return tuple((GREY * unit - mean) / std for mean, std in zip(means, stds, strict=True))


def in_one_colour(
    pixels: Tensor,
    inputs: Mapping[str, Any],
    *,
    colour: tuple[float, ...] | None,
    temporal_patch: _Patch = None,
) -> Tensor:
    """Returns a copy of `pixels` in which each picture has one colour; padding stays as it is.

    Args:
        pixels: As for `add_noise`.
        inputs: As for `add_noise`.
        colour: One number per channel, in the units of `pixels`; without one, each picture's mean.
        temporal_patch: As for `add_noise`. Patches whose features are in an order that is not known
            here get the mean of all channels.
    """
    flat = pixels.clone(memory_format=torch.contiguous_format)
    for part in own_pixels(flat, inputs):  # a view of `flat`
        by_channel, axis = _by_channel(part, 3 if colour is None else len(colour), temporal_patch)
        others = [each for each in range(by_channel.dim()) if each != axis]
        if colour is None:
            paint = by_channel.double().mean(others, keepdim=True)
        else:
            values = torch.tensor(colour, dtype=torch.float64, device=part.device)
            shape = [1] * by_channel.dim()
            if axis is not None:
                shape[axis] = len(colour)
            paint = (values if axis is not None else values.mean()).view(shape)
        by_channel.copy_(paint.expand_as(by_channel))
    return flat


def _by_channel(part: Tensor, channels: int, temporal_patch: _Patch) -> tuple[Tensor, int | None]:
    """Returns a view of one picture's pixels, and its axis of channels if there is one."""
    if part.dim() >= 3:  # (..., channels, height, width), or channels last
        for axis in (-3, -1):
            if part.shape[axis] == channels:
                return part, part.dim() + axis
        return part, None
    patches, features = part.shape
    if temporal_patch and features == channels * temporal_patch[0] * temporal_patch[1] ** 2:
        frames, size = temporal_patch
        if frames_first(part, channels, frames):
            return part.view(patches, frames, channels, size * size), 2
        return part.view(patches, channels, frames, size * size), 1
    return part, None


def has_rows(inputs: Mapping[str, Any], conversations: Sequence[Conversation]) -> bool:
    """Whether some requests' inputs can be had without the others': there is one picture in each.

    Args:
        inputs: Processor outputs of all of them.
        conversations: The requests.
    """
    return all(len(each.pictures) == 1 for each in conversations) and all(
        isinstance(value, Tensor) and value.dim() > 0 and len(value) == len(conversations)
        for value in inputs.values()
    )
