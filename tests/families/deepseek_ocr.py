"""DeepSeek's readers: a SAM tower, then an encoder, then a mixture of experts."""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast

from . import templates
from .parts import Made, llama_text
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer

_SAM: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "output_channels": HIDDEN // 2,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "image_size": 64,
    "patch_size": 8,
    "window_size": 4,
    "global_attn_indexes": [1],
    "mlp_dim": HIDDEN,
}
_EXPERTS: dict[str, Any] = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": HIDDEN,
    "mlp_layer_types": ["dense", "sparse"],
}


def _text() -> PreTrainedTokenizerFast:
    return tokenizer(
        (
            "<|begin_of_sentence|>",
            "<|end_of_sentence|>",
            "<|pad|>",
            "<|User|>",
            "<|Assistant|>",
            "<image>",
        ),
        bos="<|begin_of_sentence|>",
        eos="<|end_of_sentence|>",
        pad="<|pad|>",
        named={"image_token": "<image>"},
        template=templates.DEEPSEEK,
    )


def _deepseek_ocr2() -> Made:
    text = _text()
    processor = hf.DeepseekOcr2Processor(
        image_processor=hf.DeepseekOcr2ImageProcessorPil(
            size=square(96), tile_size=96, crop_to_patches=False
        ),
        tokenizer=text,
        chat_template=templates.DEEPSEEK,
        patch_size=2,
        downsample_ratio=4,
    )
    config = hf.DeepseekOcr2Config(
        vision_config={
            # Its queries are always 12 by 12, or 16 by 16.
            "sam_config": {
                **_SAM,
                "image_size": 96,
                "patch_size": 2,
                "num_hidden_layers": 1,
                "global_attn_indexes": [],
                "downsample_channels": [HIDDEN, HIDDEN],
            },
            "encoder_config": {
                "vocab_size": 8,
                "hidden_size": HIDDEN,
                "intermediate_size": 2 * HIDDEN,
                "num_hidden_layers": LAYERS,
                "num_attention_heads": HEADS,
                "num_key_value_heads": HEADS // 2,
            },
        },
        text_config=decoder(text, "deepseek_ocr2_text", num_key_value_heads=HEADS, **_EXPERTS),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _unlimited_ocr() -> Made:
    text = _text()
    processor = hf.UnlimitedOcrProcessor(
        image_processor=hf.UnlimitedOcrImageProcessor(
            size=square(64), tile_size=64, crop_to_patches=False
        ),
        tokenizer=text,
        chat_template=templates.DEEPSEEK,
        patch_size=8,
        downsample_ratio=4,
    )
    config = hf.UnlimitedOcrConfig(
        vision_config={
            "sam_config": {**_SAM, "downsample_channels": [HIDDEN, HIDDEN]},
            "encoder_config": vision("unlimited_ocr_vision_encoder", image_size=16, patch_size=8),
        },
        text_config=decoder(
            text,
            "unlimited_ocr_text",
            num_key_value_heads=HEADS,
            sliding_window=16,
            **_EXPERTS,
        ),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _deepseek_vl_hybrid() -> Made:
    text = llama_text()
    processor = hf.DeepseekVLHybridProcessor(
        image_processor=hf.DeepseekVLHybridImageProcessorPil(
            size=square(16), high_res_size=square(64), min_size=8
        ),
        tokenizer=text,
        chat_template=templates.LLAVA,
        num_image_tokens=16,
    )
    config = hf.DeepseekVLHybridConfig(
        vision_config=vision("siglip_vision_model", image_size=16, patch_size=4),
        high_res_vision_config={"model_type": "sam_vision_model", **_SAM},
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


RECIPES = {
    "deepseek_vl_hybrid": Recipe(make=_deepseek_vl_hybrid),
    "deepseek_ocr2": Recipe(make=_deepseek_ocr2),
    "unlimited_ocr": Recipe(
        make=_unlimited_ocr, prefix="whole", rewinds=False, needs=("torchvision",)
    ),
}
