"""Where a model's weights are, and where it runs if accelerate keeps them somewhere else.

It moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def input_device(model: Any) -> torch.device:
    """Returns the device on which a model takes its inputs.

    That of its weights; where the first of them is offloaded (to disk, or to host memory), the
    device on which accelerate runs the model.
    """
    device: torch.device = model.device
    if device.type != "meta":
        return device
    return next((torch.device(found) for found in _execution_devices(model)), device)


def weight_without_values(model: Any) -> str | None:
    """Returns the name of a weight that is nowhere, or None where every one has its values.

    Weights on the meta device have none, unless accelerate brings them when they are needed.
    """
    if next(_execution_devices(model), None) is not None:
        return None
    return next((name for name, weight in model.named_parameters() if weight.is_meta), None)


def _execution_devices(model: Any) -> Iterator[Any]:
    for module in model.modules():
        hook = vars(module).get("_hf_hook")
        for each in getattr(hook, "hooks", (hook,)):
            device = getattr(each, "execution_device", None)
            if device is not None:
                yield device
