"""Some rows of a key-value cache that several requests share, as a cache of their own.

Rows that step together keep one cache between them: nobody's rows are copied out of it until
somebody needs them by themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


class SharedRows(Cache):
    """Rows of a cache whose layers all attend to everything, without their padding.

    The whole may grow at its end meanwhile: what these rows hold stays where it was.

    Args:
        whole: Its layers are `DynamicLayer`s.
        rows: Which rows, one after the other.
        padding: How many places at their beginning hold nothing.
        length: How many places after those hold something.
    """

    def __init__(self, whole: Cache, rows: range, padding: int, length: int) -> None:
        super().__init__(layers=[])
        self._own: list[Any] | None = None
        self.whole: Cache | None = whole
        self.rows, self.padding, self.length = rows, padding, length

    @property
    def layers(self) -> list[Any]:
        """The layers, of these rows alone; from here on they have nothing to do with the whole."""
        if self._own is None:
            assert self.whole is not None
            self.layers = [self._layer(each) for each in self.whole.layers]
        assert self._own is not None
        return self._own

    @layers.setter
    def layers(self, layers: list[Any]) -> None:
        self._own, self.whole = layers, None

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Returns how many tokens the rows hold."""
        if self._own is None:
            return self.length
        return int(super().get_seq_length(layer_idx))

    def _layer(self, layer: Any) -> Any:
        own = copy.copy(layer)
        at = slice(self.rows.start, self.rows.stop)
        places = slice(self.padding, self.padding + self.length)
        own.keys, own.values = layer.keys[at, :, places], layer.values[at, :, places]
        return own


def can_share(cache: Any) -> bool:
    """Whether a cache's rows may be put beside others': every layer attends to all tokens."""
    if isinstance(cache, SharedRows) and cache.whole is not None:
        return True
    layers = getattr(cache, "layers", None) or ()
    return bool(layers) and all(
        type(layer) is DynamicLayer and layer.is_initialized and layer.keys.dim() == 4
        for layer in layers
    )


def joined(caches: Sequence[Any]) -> tuple[Cache, list[int]]:
    """Returns one cache of all rows, and each cache's padding at its beginning.

    Args:
        caches: Each of which can share; they are not changed, but where they are all that is left
            of one whole, that is handed out again.
    """
    whole = _still_together(caches)
    if whole is not None:
        return whole, [each.padding for each in caches]
    lengths = [each.get_seq_length() for each in caches]
    longest = max(lengths)
    made = copy.copy(caches[0])
    made.layers = [
        _joined_layer(layers, lengths, longest)
        for layers in zip(*(each.layers for each in caches), strict=True)
    ]
    return made, [longest - length for length in lengths]


def _still_together(caches: Sequence[Any]) -> Cache | None:
    """Returns the cache of which these are all rows, in order, up to its end; None if none is."""
    first = caches[0]
    whole = first.whole if isinstance(first, SharedRows) else None
    if whole is None:
        return None
    row, end = 0, whole.get_seq_length()
    for each in caches:
        if not isinstance(each, SharedRows) or each.whole is not whole:
            return None
        if each.rows.start != row or each.padding + each.length != end:
            return None
        row = each.rows.stop
    keys: Any = whole.layers[0].keys  # type: ignore[union-attr]
    return whole if row == len(keys) else None


def _joined_layer(layers: Sequence[Any], lengths: Sequence[int], longest: int) -> Any:
    made = copy.copy(layers[0])
    made.keys = _stacked([each.keys for each in layers], lengths, longest)
    made.values = _stacked([each.values for each in layers], lengths, longest)
    return made


def _stacked(parts: Sequence[Tensor], lengths: Sequence[int], longest: int) -> Tensor:
    """Returns (rows, heads, longest, width), with zeros before what is shorter."""
    first = parts[0]
    rows = sum(len(each) for each in parts)
    if min(lengths) == longest:
        return torch.cat(list(parts))
    stacked = first.new_zeros(rows, first.shape[1], longest, first.shape[3])
    row = 0
    for part, length in zip(parts, lengths, strict=True):
        stacked[row : row + len(part), :, longest - length :] = part
        row += len(part)
    return stacked
