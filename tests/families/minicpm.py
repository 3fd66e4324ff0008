"""MiniCPM-V and MiniCPM-OCR: pictures in slices, in front of a Qwen 3.5 decoder."""

from typing import Any

import transformers as hf
from transformers import PreTrainedConfig, ProcessorMixin

from . import templates
from .parts import Made, NoVideos
from .qwen import MROPE, qwen_text
from .recipe import Recipe, decoder, vision

_NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
_TEMPLATE = templates.chatml("{{ '<|image_pad|>\\n' }}")


def _made(
    kind: type[ProcessorMixin],
    pictures: Any,
    config: type[PreTrainedConfig],
    tower: str,
    **options: Any,
) -> Made:
    text = qwen_text(_TEMPLATE, **_NAMED)
    mode = "4x" if "ocr" in tower else "16x"
    processor = kind(
        image_processor=pictures(
            patch_size=4, scale_resolution=32, max_slice_nums=2, downsample_mode=mode
        ),
        video_processor=NoVideos(),
        tokenizer=text,
        chat_template=_TEMPLATE,
    )
    ids = text.convert_tokens_to_ids
    rope = {**MROPE, "mrope_interleaved": True, "partial_rotary_factor": 0.5}
    return (
        config(
            vision_config=vision(tower, image_size=32, patch_size=4),
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
            insert_layer_id=0,
            image_token_id=ids("<|image_pad|>"),
            video_token_id=ids("<|video_pad|>"),
            tie_word_embeddings=False,
            downsample_mode=mode,
            **{name: ids(token) for name, token in options.items()},
        ),
        processor,
    )


def _v4_6() -> Made:
    return _made(
        hf.MiniCPMV4_6Processor,
        hf.MiniCPMV4_6ImageProcessorPil,
        hf.MiniCPMV4_6Config,
        "minicpmv4_6_vision",
    )


def _v4_7() -> Made:
    return _made(
        hf.MiniCPMV4_7Processor,
        hf.MiniCPMV4_6ImageProcessorPil,
        hf.MiniCPMV4_7Config,
        "minicpmv4_7_vision",
        image_start_id="<image>",
        image_end_id="</image>",
        slice_start_id="<slice>",
        slice_end_id="</slice>",
        newline_id="Ċ",
    )


def _ocr() -> Made:
    return _made(
        hf.MiniCPMOcrProcessor,
        hf.MiniCPMOcrImageProcessor,
        hf.MiniCPMOcrConfig,
        "minicpm_ocr_vision",
    )


RECIPES = {
    "minicpmv4_6": Recipe(make=_v4_6, rewinds=False),
    "minicpmv4_7": Recipe(make=_v4_7, seed=1, rewinds=False),
    "minicpm_ocr": Recipe(make=_ocr, rewinds=False, needs=("torchvision",)),
}
