"""The Qwen-VL line: pictures of any size, three-axis positions, and (3.5) linear attention."""

from typing import Any

from transformers import (
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen3_5Config,
    Qwen3VLConfig,
    Qwen3VLProcessor,
)

from . import templates
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder
from .text import tokenizer

_PATCH = 4  # pixels; two by two patches make one image token
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}


def qwen_text(template: str, **named: str) -> PreTrainedTokenizerFast:
    """Qwen's control tokens; `named` are further ones, which a processor reads as attributes."""
    return tokenizer(
        (
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<|vision_start|>",
            "<|vision_end|>",
            "<|image_pad|>",
            "<|video_pad|>",
            "<think>",
            "</think>",
            *named.values(),
        ),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named=named,
        template=template,
    )


def qwen_pictures(*, frames: int = 2) -> Qwen2VLImageProcessorPil:
    """Qwen's image processor: 16 by 16 to 32 by 32 pixels; a patch repeats them `frames` times."""
    return Qwen2VLImageProcessorPil(
        patch_size=_PATCH,
        merge_size=2,
        temporal_patch_size=frames,
        size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32},
    )


def qwen_processor(
    kind: type[ProcessorMixin], text: PreTrainedTokenizerFast, template: str
) -> ProcessorMixin:
    """A processor of `kind` that is shown no videos."""
    return kind(
        image_processor=qwen_pictures(),
        tokenizer=text,
        video_processor=None,
        chat_template=template,
    )


def picture_ids(text: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The control tokens that configurations name."""
    return {
        "image_token_id": text.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": text.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": text.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": text.convert_tokens_to_ids("<|vision_end|>"),
    }


def tower(**options: Any) -> dict[str, Any]:
    """A Qwen-VL vision tower's configuration."""
    return {
        "depth": LAYERS,
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "patch_size": _PATCH,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        **options,
    }


def _qwen2_vl() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = qwen_text(templates.QWEN_VL)
    config = Qwen2VLConfig(
        vision_config=tower(embed_dim=HIDDEN, mlp_ratio=2),
        text_config=decoder(text, "qwen2_vl_text", rope_parameters=MROPE),
        **picture_ids(text),
    )
    return config, qwen_processor(Qwen2VLProcessor, text, templates.QWEN_VL)


def _qwen2_5_vl() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = qwen_text(templates.QWEN_VL)
    config = Qwen2_5_VLConfig(
        vision_config=tower(
            intermediate_size=2 * HIDDEN,
            out_hidden_size=HIDDEN,
            window_size=16,
            fullatt_block_indexes=[1],
        ),
        text_config=decoder(text, "qwen2_5_vl_text", rope_parameters=MROPE),
        **picture_ids(text),
    )
    return config, qwen_processor(Qwen2_5_VLProcessor, text, templates.QWEN_VL)


def _qwen3_vl() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = qwen_text(templates.QWEN3_VL)
    config = Qwen3VLConfig(
        vision_config=tower(
            intermediate_size=2 * HIDDEN,
            out_hidden_size=HIDDEN,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0],
        ),
        text_config=decoder(
            text, "qwen3_vl_text", rope_parameters={**MROPE, "mrope_interleaved": True}
        ),
        **picture_ids(text),
    )
    return config, qwen_processor(Qwen3VLProcessor, text, templates.QWEN3_VL)


def _qwen3_5() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = qwen_text(templates.QWEN_3_5)
    rope = {**MROPE, "mrope_interleaved": True, "partial_rotary_factor": 0.5}
    config = Qwen3_5Config(
        vision_config=tower(
            intermediate_size=2 * HIDDEN, out_hidden_size=HIDDEN, num_position_embeddings=64
        ),
        text_config=decoder(
            text,
            "qwen3_5_text",
            head_dim=16,
            rope_parameters=rope,
            layer_types=["linear_attention", "full_attention"],
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
        ),
        **picture_ids(text),
    )
    return config, qwen_processor(Qwen3VLProcessor, text, templates.QWEN_3_5)


RECIPES = {
    "qwen2_vl": Recipe(make=_qwen2_vl),
    "qwen2_5_vl": Recipe(make=_qwen2_5_vl),
    "qwen3_vl": Recipe(make=_qwen3_vl, tools=True),
    "qwen3_5": Recipe(make=_qwen3_5, rewinds=False),
}
