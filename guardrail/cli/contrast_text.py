"""How a policy's contrast and its record are written in a line."""

from __future__ import annotations

from guardrail.policy.steering import Contrast
from guardrail.record.decision import ContrastRecord


def contrasted_with(contrast: Contrast | ContrastRecord) -> str:
    """Returns what the picture is contrasted with, such as `noise 0.1` or `a grey picture`."""
    if contrast.counterfactual == "grey":
        return "a grey picture"
    if contrast.counterfactual == "mean":
        return "its mean colour"
    where = " on the photograph" if contrast.counterfactual == "photo-noise" else ""
    return f"noise {contrast.noise_std:g}{where}"
