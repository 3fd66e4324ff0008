"""The few operations on logits that are done above, on NumPy arrays and torch tensors alike.

Whoever does them does not know what runs a model, and imports neither: an array brings its own
namespace (the array API standard). What the standard lacks stands here, once.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

Array = Any
"""A NumPy array or a torch tensor of floats, on any device."""


def log_softmax(logits: Array) -> Array:
    """Returns log-probabilities along the last axis, same shape."""
    if hasattr(logits, "log_softmax"):  # torch has it in one kernel
        return logits.log_softmax(-1)
    return logits - logsumexp(logits)


def softmax(logits: Array) -> Array:
    """Returns probabilities along the last axis, same shape."""
    if hasattr(logits, "softmax"):
        return logits.softmax(-1)
    return array_namespace(logits).exp(log_softmax(logits))


def logsumexp(values: Array) -> Array:
    """Returns the logarithm of the summed exponentials, the last axis kept with length 1.

    At least one value of each row must be finite.
    """
    if hasattr(values, "logsumexp"):
        return values.logsumexp(-1, keepdim=True)
    xp = array_namespace(values)
    most = xp.max(values, axis=-1, keepdims=True)
    return most + xp.log(xp.sum(xp.exp(values - most), axis=-1, keepdims=True))


def largest(values: Array, count: int) -> Array:
    """Returns the places of the `count` largest values along the last axis, largest first."""
    count = min(count, values.shape[-1])
    if hasattr(values, "topk"):
        return values.topk(count).indices
    return (-values).argsort(axis=-1, stable=True)[..., :count]
