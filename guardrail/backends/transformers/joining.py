"""Forward passes of several requests as one: their arguments joined, its outputs taken apart.

Rows stand side by side, padded on the left, where a mask hides the padding and positions are given,
so that every row sees what it would alone. What a pass takes that is not known here keeps it by
itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from guardrail.backends.transformers.cache import BATCH_DIM
from guardrail.backends.transformers.generation import Outputs, cache_of
from guardrail.backends.transformers.rows import select_rows
from guardrail.backends.transformers.shared_cache import SharedRows, can_share, joined

Arguments = Mapping[str, Any]


def kind_of(arguments: Arguments) -> Hashable | None:
    """Returns what passes must have in common to be joined; None where one stays by itself.

    Args:
        arguments: Of a model's forward pass, by name.
    """
    ids, positions = arguments.get("input_ids"), arguments.get("position_ids")
    mask, cache = arguments.get("attention_mask"), cache_of(arguments)
    if not isinstance(ids, Tensor) or not isinstance(positions, Tensor) or not can_share(cache):
        return None
    if positions.shape[-2:] != ids.shape or not _is_whole(mask, arguments):
        return None
    others: list[Hashable] = []
    for name, value in sorted(arguments.items()):
        if name in _JOINED or isinstance(value, Cache):
            others.append(name)
        elif value is None or isinstance(value, (bool, int, str)):
            others.append((name, value))
        elif isinstance(value, Tensor) and name == "logits_to_keep":
            others.append((name, tuple(value.tolist())))
        else:
            return None
    wide = mask is not None and mask.dim() == 4
    thread = (
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled(ids.device.type),
        torch.get_autocast_dtype(ids.device.type),
    )
    shape = ids.shape[1], positions.shape[:-2], positions.shape[-1], wide
    return (*shape, mask.dtype if wide and mask is not None else None, thread, tuple(others))


def _is_whole(mask: Any, arguments: Arguments) -> bool:
    """Whether a mask, if there is one, is of one of the usual shapes and of all tokens so far."""
    if mask is None:
        return True
    if not isinstance(mask, Tensor) or mask.dim() not in (2, 4) or len(mask) != rows_of(arguments):
        return False
    return bool(mask.shape[-1] == length_of(arguments) + arguments["input_ids"].shape[1])


def rows_of(arguments: Arguments) -> int:
    """Returns how many rows a pass has."""
    return len(arguments["input_ids"])


def length_of(arguments: Arguments) -> int:
    """Returns how many tokens lie in a pass's cache."""
    cache: Any = cache_of(arguments)
    return int(cache.get_seq_length())


def joined_arguments(passes: Sequence[Arguments]) -> tuple[dict[str, Any], list[int]]:
    """Returns the arguments of one pass for all rows, and the padding of each pass's rows.

    Args:
        passes: Of one kind.
    """
    arguments = dict(passes[0])
    lengths = [length_of(each) for each in passes]
    cache, paddings = joined([cache_of(each) for each in passes])
    total = paddings[0] + lengths[0]
    for name, value in passes[0].items():
        if isinstance(value, Cache):
            arguments[name] = cache
    arguments["input_ids"] = torch.cat([each["input_ids"] for each in passes])
    arguments["position_ids"] = torch.cat(
        [each["position_ids"] for each in passes], dim=BATCH_DIM["position_ids"]
    )
    arguments["attention_mask"] = _joined_masks(passes, paddings, total)
    return arguments, paddings


def apart(outputs: Any, passes: Sequence[Arguments], paddings: Sequence[int]) -> list[Outputs]:
    """Returns what each of the passes would have put out by itself.

    Args:
        outputs: Of all rows; its cache is shared from here on.
        passes: As they were joined.
        paddings: Of their rows.
    """
    cache = cache_of(outputs)
    assert cache is not None
    end, rows, first = cache.get_seq_length(), sum(map(rows_of, passes)), 0
    found: list[Outputs] = []
    for each, padding in zip(passes, paddings, strict=True):
        at = range(first, first + rows_of(each))
        first = at.stop
        own: dict[str, Any] = {}
        others = {}
        for name, value in outputs.items():
            if isinstance(value, Cache):
                own[name] = SharedRows(cache, at, padding, end - padding)
            elif name == "logits":
                own[name] = value[at.start : at.stop]
            else:
                others[name] = value
        index = torch.tensor(at, device=own["logits"].device)
        found.append(Outputs({**select_rows(others, index, batch=rows, grouped=True), **own}))
    return found


_JOINED = frozenset({"input_ids", "position_ids", "attention_mask"})


def _joined_masks(passes: Sequence[Arguments], paddings: Sequence[int], total: int) -> Any:
    masks = [each.get("attention_mask") for each in passes]
    if not any(paddings) and all(mask is None for mask in masks):
        return None
    ids = passes[0]["input_ids"]
    known = [mask for mask in masks if mask is not None]
    if known and known[0].dim() == 4:
        is_bool = known[0].dtype == torch.bool
        hidden = False if is_bool else torch.finfo(known[0].dtype).min
        return torch.cat(
            [
                torch.nn.functional.pad(mask, (padding, 0), value=hidden)
                for mask, padding in zip(known, paddings, strict=True)
            ]
        )
    dtype = known[0].dtype if known else torch.long
    joined_mask = torch.ones(
        sum(map(rows_of, passes)), total + ids.shape[1], dtype=dtype, device=ids.device
    )
    row = 0
    for each, mask, padding in zip(passes, masks, paddings, strict=True):
        at = slice(row, row + rows_of(each))
        joined_mask[at, :padding] = 0
        if mask is not None:
            joined_mask[at, padding:] = mask
        row = at.stop
    return joined_mask
