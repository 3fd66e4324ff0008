"""Rows of what a model takes and returns: selecting and joining them, however deep they lie.

Tuples, lists, dicts, model outputs and dataclasses are gone through whole, caches included. Nothing
that is given is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from guardrail.backends.transformers.cache import (
    BATCH_DIM,
    join_cache_rows,
    select_cache_rows,
)
from guardrail.errors import ModelError


def select_rows(
    values: Mapping[str, Any], rows: Tensor, *, batch: int, grouped: bool = False
) -> dict[str, Any]:
    """Returns `values` with the given rows of every tensor in them that has `batch` of them.

    Args:
        values: Tensors, or anything that holds some, by name.
        rows: (new batch,) int64; a row may be repeated.
        batch: How many rows there are now.
        grouped: Whether a row may be several entries, as where a model returns the features of its
            rows' pictures as (rows x pictures, length, width).
    """

    def select(name: str, found: Sequence[Any]) -> Any:
        [value] = found
        if isinstance(value, Cache):
            return select_cache_rows(value, rows)
        dim = _batch_dim(name, value, batch, grouped)
        if dim is None:
            return value
        each = value.shape[dim] // batch
        index = (rows[:, None] * each + torch.arange(each, device=rows.device)).flatten()
        return value.index_select(dim, index.to(value.device))

    return {name: _gone_through(name, (value,), select) for name, value in values.items()}


def join_rows(
    first: Mapping[str, Any], second: Mapping[str, Any], *, batch: int, grouped: bool = False
) -> dict[str, Any]:
    """Returns what both have, the rows of `second` after those of `first`.

    Args:
        first: Tensors, or anything that holds some, by name; those without rows are kept.
        second: The same, with as many rows.
        batch: How many rows each has.
        grouped: As for `select_rows`.

    Raises:
        ModelError: Two things of one name are made differently, so that rows cannot be told.
    """

    def join(name: str, found: Sequence[Any]) -> Any:
        value, other = found
        if value is None or other is None:
            return None
        if isinstance(value, Cache):
            return join_cache_rows(value, other)
        dim = _batch_dim(name, value, batch, grouped)
        return value if dim is None else torch.cat([value, other], dim)

    return {
        name: _gone_through(name, (value, second[name]), join)
        for name, value in first.items()
        if name in second
    }


def _gone_through(
    name: str, peers: Sequence[Any], leaf: Callable[[str, Sequence[Any]], Any]
) -> Any:
    """Returns something made like `peers`, of what `leaf` makes of the parts at each place."""
    value = peers[0]
    if isinstance(value, (Cache, Tensor)) or not _holds_parts(value):
        return leaf(name, peers)
    if any(peer is None for peer in peers):
        return None
    parts = [_parts(name, peer) for peer in peers]
    if any(type(peer) is not type(value) for peer in peers) or any(
        list(each) != list(parts[0]) for each in parts
    ):
        raise ModelError(
            f"cannot join the rows of {name!r}: one is a {type(value).__name__} of "
            f"{len(parts[0])}, another a {type(peers[-1]).__name__} of {len(parts[-1])}"
        )
    made = {key: _gone_through(key[1], [each[key] for each in parts], leaf) for key in parts[0]}
    return _made_like(value, {key: part for (key, _), part in made.items()})


def _holds_parts(value: Any) -> bool:
    return isinstance(value, (Mapping, tuple, list)) or (
        is_dataclass(value) and not isinstance(value, type)
    )


def _parts(name: str, value: Any) -> dict[tuple[Any, str], Any]:
    """Returns what `value` holds, by its place in it and the name by which its rows are found."""
    if is_dataclass(value) and not isinstance(value, type):  # model outputs are dataclasses, too
        names = [field.name for field in fields(value) if field.init]
        return {(each, each): getattr(value, each) for each in names}
    if isinstance(value, Mapping):
        return {(key, str(key)): part for key, part in value.items()}
    return {(at, name): part for at, part in enumerate(value)}


def _made_like(value: Any, parts: dict[Any, Any]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **parts)
    if isinstance(value, Mapping):
        return type(value)(parts)  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*parts.values())
    return type(value)(parts.values())


def _batch_dim(name: str, value: Any, batch: int, grouped: bool) -> int | None:
    dim = BATCH_DIM.get(name, 0)
    if not isinstance(value, Tensor) or value.dim() < max(1, abs(dim)):
        return None
    size = value.shape[dim]
    is_group = grouped and value.dim() > 2 and size > 0 and size % batch == 0
    return dim if size == batch or is_group else None
