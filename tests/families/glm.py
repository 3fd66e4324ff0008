"""Zhipu's line: GLM-4V, its mixtures of experts, and GLM-OCR."""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast, ProcessorMixin

from . import templates
from .parts import Made
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder
from .text import tokenizer

SIZE = {"shortest_edge": 2 * 16 * 16, "longest_edge": 2 * 32 * 32}  # of two equal frames
EXPERTS = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": HIDDEN,
    "first_k_dense_replace": 1,
}


def glm_text() -> PreTrainedTokenizerFast:
    """GLM's control tokens."""
    return tokenizer(
        (
            "<|endoftext|>",
            "[gMASK]",
            "<sop>",
            "<|system|>",
            "<|user|>",
            "<|assistant|>",
            "<|begin_of_image|>",
            "<|end_of_image|>",
            "<|image|>",
            "<|begin_of_video|>",
            "<|end_of_video|>",
            "<|video|>",
        ),
        eos="<|endoftext|>",
        pad="<|endoftext|>",
        template=templates.GLM4V,
    )


def _processor(
    text: PreTrainedTokenizerFast,
    kind: type[ProcessorMixin] = hf.Glm46VProcessor,
    pictures: Any = hf.Glm46VImageProcessorPil,
) -> ProcessorMixin:
    return kind(
        image_processor=pictures(patch_size=4, merge_size=2, temporal_patch_size=2, size=SIZE),
        tokenizer=text,
        video_processor=None,
        chat_template=templates.GLM4V,
    )


def glm_tower(model_type: str, **options: Any) -> dict[str, Any]:
    """The vision tower's configuration."""
    return {
        "model_type": model_type,
        "depth": LAYERS,
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "image_size": 32,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        **options,
    }


def _decoder(text: PreTrainedTokenizerFast, model_type: str, **options: Any) -> dict[str, Any]:
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 1.0,
        "mrope_section": [2, 1, 1],
    }
    return decoder(text, model_type, rope_parameters=rope, **options)


def glm_ids(text: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The control tokens that configurations name."""
    ids = text.convert_tokens_to_ids
    return {
        "image_token_id": ids("<|image|>"),
        "video_token_id": ids("<|video|>"),
        "image_start_token_id": ids("<|begin_of_image|>"),
        "image_end_token_id": ids("<|end_of_image|>"),
        "video_start_token_id": ids("<|begin_of_video|>"),
        "video_end_token_id": ids("<|end_of_video|>"),
    }


def _glm4v() -> Made:
    text = glm_text()
    config = hf.Glm4vConfig(
        vision_config=glm_tower("glm4v_vision"),
        text_config=_decoder(text, "glm4v_text"),
        **glm_ids(text),
    )
    return config, _processor(text, hf.Glm4vProcessor, hf.Glm4vImageProcessorPil)


def _glm4v_moe() -> Made:
    text = glm_text()
    config = hf.Glm4vMoeConfig(
        vision_config=glm_tower("glm4v_moe_vision"),
        text_config=_decoder(text, "glm4v_moe_text", **EXPERTS),
        **glm_ids(text),
    )
    return config, _processor(text, hf.Glm4vProcessor, hf.Glm4vImageProcessorPil)


def _glm46v() -> Made:
    text = glm_text()
    config = hf.Glm46VConfig(
        vision_config=glm_tower("glm4v_vision"),
        text_config=_decoder(text, "glm4v_text"),
        **glm_ids(text),
    )
    return config, _processor(text)


def _glmga() -> Made:
    text = glm_text()
    config = hf.GlmgaConfig(
        vision_config=glm_tower("glm4v_vision"),
        text_config=_decoder(text, "glm4v_text"),
        **glm_ids(text),
    )
    return config, _processor(text, pictures=hf.GlmgaImageProcessorPil)


def _glm_ocr() -> Made:
    text = glm_text()
    config = hf.GlmOcrConfig(
        vision_config=glm_tower("glm_ocr_vision"),
        text_config=_decoder(text, "glm_ocr_text"),
        **glm_ids(text),
    )
    return config, _processor(text)


def _glm5_next() -> Made:
    text = glm_text()
    config = hf.Glm5NextConfig(
        vision_config=glm_tower("glm5_next_vision", projection_intermediate_size=2 * HIDDEN),
        text_config=decoder(
            text,
            "glm5_next_text",
            num_key_value_heads=HEADS,
            moe_intermediate_size=HIDDEN,
            n_routed_experts=4,
            num_experts_per_tok=2,
            q_lora_rank=16,
            kv_lora_rank=16,
            qk_nope_head_dim=8,
            v_head_dim=8,
            index_topk=1024,
            index_head_dim=8,
            index_n_heads=2,
            index_kpool=4,
            linear_head_dim=8,
            linear_num_heads=HEADS,
            hc_mult=2,
            layer_types=["linear_attention", "indexed_attention"],
            mlp_layer_types=["dense", "sparse"],
        ),
        **glm_ids(text),
    )
    processor = hf.Glm5NextProcessor(
        image_processor=hf.Glm5NextImageProcessorPil(
            patch_size=4, min_image_tokens=4, max_image_tokens=16
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=templates.GLM4V,
    )
    return config, processor


RECIPES = {
    "glm4v": Recipe(make=_glm4v),
    "glm4v_moe": Recipe(make=_glm4v_moe),
    "glm46v": Recipe(make=_glm46v),
    "glmga": Recipe(make=_glmga),
    "glm_ocr": Recipe(make=_glm_ocr),
    "glm5_next": Recipe(make=_glm5_next, rewinds=False),
}
