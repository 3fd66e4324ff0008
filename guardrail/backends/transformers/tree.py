"""Several continuations of a prompt in one forward pass, none of which sees another.

The prompt's cache is read once instead of being copied for every continuation, and what they begin
with is run once. It is exact: each token sees the prompt, the common stem and its own continuation
up to itself, at the positions that it would have alone (tree attention, as in SpecInfer, arXiv
2305.09781, section 4.2). Only families in which nothing but mask and positions places a token can
be served so; for all others the answer is None, and rows of a batch do the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from guardrail.backends.transformers.branch import Branch
from guardrail.backends.transformers.generation import step_arguments

_PLACED_BY_MASK = frozenset({"sdpa", "eager"})
"""Attention implementations that take any mask."""

_KNOWN = frozenset({"input_ids", "attention_mask", "position_ids", "logits_to_keep"})
"""The only tensors that may come with further tokens."""


@torch.no_grad()
def run_tree(
    branch: Branch, stem: Sequence[int], continuations: Sequence[Sequence[int]]
) -> Tensor | None:
    """Returns the next-token logits after the stem and each of the continuations.

    Args:
        branch: The prompt, any number of rows; unchanged.
        stem: Tokens that all continuations begin with; may be empty.
        continuations: One or more, of one token or more each; the same for every row.

    Returns:
        (batch, continuations, vocabulary) float32, or None (and nothing has been run) where this
        model's tokens are not placed by mask and positions alone.
    """
    flat = [*stem, *(token for each in continuations for token in each)]
    tokens = torch.tensor([flat] * branch.batch, device=branch.ids.device)
    return _run(branch, tokens, _laid_out(len(stem), [len(each) for each in continuations]))


@torch.no_grad()
def run_ahead(branch: Branch, tokens: Tensor) -> Tensor | None:
    """Returns the next-token logits after continuations that every row has of its own.

    Args:
        branch: What was run so far, any number of rows; unchanged.
        tokens: (batch, continuations, length) int64, length >= 1.

    Returns:
        As `run_tree`.
    """
    layout = _laid_out(0, [tokens.shape[2]] * tokens.shape[1])
    return _run(branch, tokens.flatten(1).to(branch.ids.device), layout)


def _run(branch: Branch, tokens: Tensor, layout: tuple[Tensor, Tensor, Tensor]) -> Tensor | None:
    """Returns logits (batch, continuations, vocabulary) after tokens (batch, count) so laid out."""
    if not is_plain(branch) or branch.carried.cache.get_seq_length() != branch.ids.shape[1]:
        return None
    branch = branch.beside()
    count = tokens.shape[1]
    ids = torch.cat([branch.ids, tokens], dim=1)
    arguments, inputs = step_arguments(branch.model, ids, count, branch.carried, branch.inputs)
    mask, positions = arguments.get("attention_mask"), arguments.get("position_ids")
    length = branch.ids.shape[1]
    if mask is None:  # nothing is padded
        mask = torch.ones(branch.batch, length + count, dtype=torch.bool, device=tokens.device)
    others = {name for name, value in arguments.items() if isinstance(value, Tensor)} - _KNOWN
    if (
        others
        or not isinstance(mask, Tensor)
        or mask.shape != (branch.batch, length + count)
        or not isinstance(positions, Tensor)
        or positions.shape != (branch.batch, count)
    ):
        return None
    depths, visible, last = layout
    sees = torch.cat(
        [
            mask[:, None, :length].bool().expand(-1, count, -1),
            visible.to(mask.device).expand(branch.batch, -1, -1),
        ],
        dim=-1,
    )[:, None]  # (batch, 1, tokens, prompt and tokens)
    dtype = branch.model.dtype
    additive = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    arguments["attention_mask"] = additive.masked_fill_(~sees, torch.finfo(dtype).min)
    arguments["position_ids"] = positions[:, :1] + depths.to(positions)
    keeps = "logits_to_keep" in inputs
    if keeps:
        arguments["logits_to_keep"] = last.to(tokens.device)
    logits: Tensor = branch.forward(branch.model, arguments).logits
    return (logits if keeps else logits[:, last.to(logits.device)]).float()


def is_plain(branch: Branch) -> bool:
    """Whether the decoder builds its mask by transformers' own rules and attends to everything."""
    layers = getattr(branch.carried.cache, "layers", None) or ()
    if not layers or any(type(layer) is not DynamicLayer for layer in layers):
        return False
    decoder: Any = branch.model.get_decoder()
    config = branch.model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        hasattr(sys.modules[type(decoder).__module__], "create_causal_mask")
        and kinds == {"full_attention"}
        and getattr(decoder.config, "_attn_implementation", None) in _PLACED_BY_MASK
    )


def _laid_out(stem: int, lengths: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns depth (tokens,), who sees whom (tokens, tokens), and each continuation's last."""
    count = stem + sum(lengths)
    depths = torch.arange(count)
    visible = torch.ones(count, count, dtype=torch.bool).tril()
    last, at = [], stem
    for length in lengths:
        depths[at : at + length] = torch.arange(stem, stem + length)
        visible[at : at + length, stem:at] = False
        at += length
        last.append(at - 1)
    return depths, visible, torch.tensor(last)
