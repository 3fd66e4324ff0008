"""Guided attention: two heads of the decoder are shown where to look when text is to be copied.

Copying needs one head that looks at the token before, and a later one that looks for the place
where the current token stood before and reads on from there (an induction head). A small model
finds the two by itself only after very many tokens; here they are told, on samples without a
picture.

Source: Olsson et al., In-context Learning and Induction Heads (arXiv 2209.11895), for the circuit;
the supervision is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from guardrail.embedded.training.packing import IGNORE

Head = tuple[int, int]
PREVIOUS: Head = (1, 1)
INDUCTION: Head = (3, 2)
"""Layer and head of the decoder's two guided heads."""


class GuidedHeads:
    """What the two guided heads were given in the last forward pass of a decoder."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._seen: dict[int, tuple[torch.Tensor, Any]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keeps the inputs of the two layers' attention during the forward pass inside."""
        hooks = []
        for layer, _ in (PREVIOUS, INDUCTION):

            def keep(module: Any, args: Any, kwargs: Any, layer: int = layer) -> None:
                self._seen[layer] = kwargs["hidden_states"], kwargs["position_embeddings"]

            attention = self._decoder.layers[layer].self_attn
            hooks.append(attention.register_forward_pre_hook(keep, with_kwargs=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def loss(self, data: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        """How little the heads look where they should, in nats per token.

        Args:
            data: A packed batch, as `packing.collate` gives it.
            rows: (batch,) bool: the samples that count.
        """
        ids, visible = data["ids"][rows], data["visible"][rows, 0]  # (n, len), (n, len, len)
        labels = data["labels"][rows]
        before = torch.diag_embed(torch.ones_like(ids[:, 1:]), offset=-1).bool() & visible
        same = ids[:, :, None] == functional.pad(ids, (1, -1), value=-1)[:, None, :]
        source = visible & same & (labels[:, :, None] == ids[:, None, :])
        source &= (labels != IGNORE)[:, :, None]
        looked = self._attention(PREVIOUS, rows, visible), self._attention(INDUCTION, rows, visible)
        missed: torch.Tensor = _missed(looked[0], before) + _missed(looked[1], source)
        return missed

    def _attention(self, which: Head, rows: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Log attention of a head (n, len, len)."""
        layer, head = which
        hidden, (cos, sin) = self._seen[layer]
        module = self._decoder.layers[layer].self_attn
        of_head = slice(head * module.head_dim, (head + 1) * module.head_dim)
        query, key = (
            functional.linear(hidden[rows], projection.weight[of_head])[:, None]
            for projection in (module.q_proj, module.k_proj)
        )
        query, key = apply_rotary_pos_emb(query, key, cos[rows], sin[rows])
        scores = (query @ key.transpose(-1, -2))[:, 0].float() * module.scaling
        attention: torch.Tensor = scores.masked_fill(~visible, float("-inf")).log_softmax(-1)
        return attention


def soften(decoder: Any, share: float = 0.5) -> None:
    """Scales the decoder's queries and keys, in place, from the second layer on.

    At the end of a training with large steps the scores of attention differ by tens of nats: what
    is attended to is as good as chosen for good, and no new pattern is learned. Divided by four,
    they choose nearly the same, and learn again.
    """
    with torch.no_grad():
        for layer in decoder.layers[1:]:
            layer.self_attn.q_proj.weight.mul_(share)
            layer.self_attn.k_proj.weight.mul_(share)


def _missed(attention: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean over queries that have a wanted key of minus the log attention on those keys."""
    asked = wanted.any(-1)
    if not asked.any():
        return attention.new_zeros(())
    found = attention.masked_fill(~wanted, float("-inf"))[asked].logsumexp(-1)
    return -found.mean()
