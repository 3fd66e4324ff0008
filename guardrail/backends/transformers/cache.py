"""Rows of a key-value cache: selecting, repeating and joining them, for any dynamic cache.

Works on the tensors of a cache's layers, whatever their kind (full, sliding-window, linear
attention, cross-attention), and never changes the cache it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from guardrail.errors import ModelError

BATCH_DIM = {"indexer_position_ids": 1, "position_ids": -2}
"""Where the batch is, for the tensors that do not have it first."""


def select_cache_rows(cache: Any, rows: Tensor) -> Any:
    """Returns a new cache with the given rows, in that order; a row may be repeated.

    Args:
        cache: A transformers `Cache`; unchanged.
        rows: (new batch,) int64.

    Raises:
        ModelError: The cache is of a kind whose rows cannot be selected.
    """
    return _rebuild(cache, lambda parts, dim: parts[0].index_select(dim, rows.to(parts[0].device)))


def join_cache_rows(first: Any, second: Any) -> Any:
    """Returns a new cache with the rows of `first`, then those of `second`.

    Both must have come from the same model and hold the same number of tokens.
    """
    return _rebuild(first, lambda parts, dim: torch.cat(parts, dim), second)


def can_forget(cache: Any, length: int) -> bool:
    """Returns whether a cache can go back to an earlier token once it holds `length` of them.

    Full attention can; so can a sliding window that has dropped nothing yet. Recurrent states
    cannot, and neither do caches count whose kinds of layers are not known beforehand.
    """
    layers = getattr(cache, "layers", None) or ()
    return bool(layers) and all(
        type(layer) is DynamicLayer
        or (type(layer) is DynamicSlidingWindowLayer and length < layer.sliding_window)
        for layer in layers
    )


def grown_apart(cache: Any) -> Any:
    """Returns the same cache once more: what is added to either is not added to the other.

    Args:
        cache: Of layers that grow by new tensors, as `DynamicLayer`s do; unchanged.
    """
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in other.layers]  # a shared cache stays shared
    return other


def forget_last(cache: Any, count: int) -> Any | None:
    """Returns a new cache without its last `count` tokens, or None where layers differ in length.

    Args:
        cache: One that `can_forget`; unchanged, and going on from either leaves the other alone.
        count: At least 1.
    """
    lengths = {layer.get_seq_length() for layer in cache.layers if layer.is_initialized}
    if len(lengths) != 1:  # cross-attention keeps pictures in its layers, not tokens
        return None
    shorter = grown_apart(cache)
    for layer in shorter.layers:
        if layer.is_initialized:  # a layer that looks at pictures stays empty without any
            layer.crop(-count)
    return shorter


def _rebuild(cache: Any, combine: Callable[[list[Tensor], int], Tensor], *others: Any) -> Any:
    if not hasattr(cache, "layers"):
        raise ModelError(f"cannot guide a model with a {type(cache).__name__}: use a dynamic cache")
    rebuilt = copy.copy(cache)
    rebuilt.layers = [
        _rebuild_layer(layers, combine)
        for layers in zip(cache.layers, *(other.layers for other in others), strict=True)
    ]
    return rebuilt


def _rebuild_layer(layers: tuple[Any, ...], combine: Callable[[list[Tensor], int], Tensor]) -> Any:
    if any(
        "Static" in kind.__name__ or "Quantized" in kind.__name__ for kind in type(layers[0]).mro()
    ):
        raise ModelError(
            f"cannot guide a model with a {type(layers[0]).__name__} cache: "
            "unset cache_implementation"
        )
    rebuilt = copy.copy(layers[0])
    for name, value in vars(layers[0]).items():
        peers = [vars(layer)[name] for layer in layers]
        if isinstance(value, dict):
            combined = {
                key: _combine(name, [peer[key] for peer in peers], combine) for key in value
            }
            setattr(rebuilt, name, combined)
        else:
            setattr(rebuilt, name, _combine(name, peers, combine))
    return rebuilt


def _combine(name: str, values: list[Any], combine: Callable[[list[Tensor], int], Tensor]) -> Any:
    first = values[0]
    if not isinstance(first, Tensor) or first.shape in ((), (0,)):  # none yet
        return first  # others may be empty in their last dimension, and have rows all the same
    return combine(values, BATCH_DIM.get(name, 0))
