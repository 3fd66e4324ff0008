"""Random weights that behave like trained ones in the ways the tests rely on.

Fresh transformers models are close to constant: initial weights of std 0.02, and in some families
projections, gates or queries of zero, so that the picture never reaches the logits. Here every
matrix keeps the scale of its input, gates are open, and the logits are well apart.
"""

import torch
from torch import nn
from transformers import PreTrainedModel

_EMBEDDING_STD = 0.5
_TIED_EMBEDDING_STD = 0.1
_LOGIT_STD = 3.0
_GATE = 0.7
_FINAL_NORMS = (
    "language_model.norm",
    "model.norm",
    "final_layer_norm",
    "embedding_norm",
    "text_model.model.layer_norm",
)


@torch.no_grad()
def spread_weights(model: PreTrainedModel, *, seed: int) -> None:
    """Redraws the weights of `model` in place; buffers and most norms stay as they are."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    head = model.get_output_embeddings()
    for name, weight in model.named_parameters():
        if weight.numel() == 1 or ("gate_" in name and weight.ndim == 1) or "alpha_" in name:
            weight.fill_(_GATE)
        elif weight.ndim >= 2:
            std = _EMBEDDING_STD if id(weight) in embeddings else weight[0].numel() ** -0.5
            if head is not None and weight is head.weight:
                std = _TIED_EMBEDDING_STD if id(weight) in embeddings else std * _LOGIT_STD
            weight.normal_(0.0, std, generator=generator)
    if head is not None and id(head.weight) in embeddings:
        _break_echo(model, generator)


def _break_echo(model: nn.Module, generator: torch.Generator) -> None:
    """Redraws the last norm of a decoder whose embeddings are also its head.

    There the logits compare the last hidden state with every embedding, and in a model this
    shallow the nearest is the token just read: it would repeat one token for ever.
    """
    for name, module in model.named_modules():
        if name.endswith(_FINAL_NORMS) and "vision" not in name and ".layers." not in name:
            width = module.weight.numel()
            std = _LOGIT_STD / (_TIED_EMBEDDING_STD * width**0.5)
            centre = 0.0 if module.weight.any() else -1.0  # Gemma's norms scale by 1 + weight
            module.weight.normal_(centre, std, generator=generator)
