"""Inkling: short convolutions in every layer, and pictures cut into patches of a token each.

The looped Inkling 2 runs its middle layers several times, with a cache for each time.
"""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast

from . import templates
from .parts import Made
from .recipe import HEADS, HIDDEN, Recipe, decoder, square, vision
from .text import tokenizer

_IMAGE = "<|unused_200054|>"


def _text(*more: str, template: str) -> PreTrainedTokenizerFast:
    return tokenizer(
        (
            "<|pad|>",
            "<|message_system|>",
            "<|message_user|>",
            "<|message_model|>",
            "<|end_message|>",
            "<|content_image|>",
            _IMAGE,
            *more,
        ),
        eos="<|end_message|>",
        pad="<|pad|>",
        template=template,
    )


def _decoder(text: PreTrainedTokenizerFast, model_type: str, **options: Any) -> dict[str, Any]:
    return decoder(
        text,
        model_type,
        swa_num_attention_heads=HEADS,
        swa_num_key_value_heads=HEADS // 2,
        swa_head_dim=HIDDEN // HEADS,
        sliding_window_size=16,
        layer_types=["hybrid_sliding", "hybrid"],
        d_rel=4,
        rel_extent=256,
        moe_intermediate_size=HIDDEN,
        n_routed_experts=4,
        num_experts_per_tok=2,
        **options,
    )


def _inkling() -> Made:
    template = templates.INKLING
    text = _text("<|content_audio|>", "<|unused_200053|>", template=template)
    processor = hf.InklingProcessor(
        feature_extractor=None,
        image_processor=hf.InklingImageProcessor(size=square(5)),
        tokenizer=text,
        chat_template=template,
    )
    ids = text.convert_tokens_to_ids
    config = hf.InklingConfig(
        vision_config={
            "text_hidden_size": HIDDEN,
            "patch_size": 5,
            "hidden_size": HIDDEN,
            "num_hidden_layers": 3,
            "num_attention_heads": HEADS,
        },
        audio_config={"n_mel_bins": 4, "mel_vocab_size": 4, "text_hidden_size": HIDDEN},
        text_config=_decoder(
            text,
            "inkling_text",
            n_shared_experts=1,
            mlp_layer_types=["dense", "sparse"],
            logits_mup_width_multiplier=1.0,
        ),
        image_token_id=ids(_IMAGE),
        audio_token_id=ids("<|unused_200053|>"),
        image_bos_token_id=ids("<|content_image|>"),
        audio_bos_token_id=ids("<|content_audio|>"),
    )
    return config, processor


def _second(config: type[hf.PreTrainedConfig], text_type: str, **options: Any) -> Made:
    template = templates.INKLING
    text = _text(template=template)
    processor = hf.Inkling2Processor(
        image_processor=hf.Inkling2ImageProcessor(size=square(16)),
        tokenizer=text,
        chat_template=template,
    )
    made = config(
        vision_config=vision(
            "inkling2_vision",
            image_size=32,
            patch_size=8,
            posemb_grid_size=8,
            projection_hidden_dim=HIDDEN,
            text_hidden_size=HIDDEN,
        ),
        text_config={
            **_decoder(text, text_type),
            "unpadded_vocab_size": len(text),
            "n_layers_per_attn_res_block": 1,
            **options,
        },
        image_token_id=text.convert_tokens_to_ids(_IMAGE),
    )
    return made, processor


def _inkling2() -> Made:
    return _second(hf.Inkling2Config, "inkling2_text")


def _inkling2_loop() -> Made:
    return _second(
        hf.Inkling2LoopConfig,
        "inkling2_loop_text",
        num_hidden_layers=4,
        layer_types=["hybrid_sliding", "hybrid_sliding", "hybrid", "hybrid_sliding"],
        loop_layer_index_start=1,
        loop_layer_index_end=3,
        loop_num_passes=3,
        loop_gate_rank=4,
    )


RECIPES = {
    "inkling_mm_model": Recipe(make=_inkling, seed=1, rewinds=False, needs=("torchvision",)),
    "inkling2": Recipe(make=_inkling2, rewinds=False, needs=("torchvision",)),
    "inkling2_loop": Recipe(make=_inkling2_loop, rewinds=False, needs=("torchvision",)),
}
