"""Cohere's line after Aya Vision: Command A Vision and Compass."""

from typing import Any

import transformers as hf

from . import templates
from .parts import COHERE, Made
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer


def _text(*more: str, picture: str, **named: str) -> tuple[Any, str]:
    template = templates.AYA_VISION.replace("<image>", picture)
    text = tokenizer(
        (*COHERE, *more, *named.values()),
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
        pad="<PAD>",
        named=named,
        template=template,
    )
    return text, template


def _cohere2_vision() -> Made:
    text, template = _text(
        picture="<|IMG_PATCH|>",
        image_token="<|IMG_PATCH|>",
        boi_token="<|START_OF_IMG|>",
        eoi_token="<|END_OF_IMG|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )
    processor = hf.Cohere2VisionProcessor(
        image_processor=hf.Cohere2VisionImageProcessor(
            size=square(16), patch_size=2, min_patches=1, max_patches=2
        ),
        tokenizer=text,
        chat_template=template,
    )
    config = hf.Cohere2VisionConfig(
        vision_config=vision(
            "siglip_vision_model", image_size=16, patch_size=4, vision_use_head=False
        ),
        text_config=decoder(
            text,
            "cohere2",
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        image_token_id=text.convert_tokens_to_ids("<|IMG_PATCH|>"),
        downsample_factor=2,
        alignment_intermediate_size=2 * HIDDEN,
    )
    return config, processor


def _cohere_compass() -> Made:
    text, template = _text(
        "<|VISION_START|>",
        "<|VISION_END|>",
        "<|IMAGE_PAD|>",
        "<|VIDEO_PAD|>",
        picture="<|VISION_START|><|IMAGE_PAD|><|VISION_END|>",
    )
    processor = hf.CohereCompassProcessor(
        image_processor=hf.CohereCompassImageProcessorPil(
            patch_size=4,
            merge_size=2,
            temporal_patch_size=2,
            size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32},
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=template,
    )
    ids = text.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    config = hf.CohereCompassConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "num_heads": HEADS,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "intermediate_size": 2 * HIDDEN,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        text_config=decoder(
            text,
            "cohere_compass_text",
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            rope_parameters={"sliding_attention": rope, "full_attention": rope},
        ),
        image_token_id=ids("<|IMAGE_PAD|>"),
        video_token_id=ids("<|VIDEO_PAD|>"),
        vision_start_token_id=ids("<|VISION_START|>"),
        vision_end_token_id=ids("<|VISION_END|>"),
    )
    return config, processor


RECIPES = {
    "cohere2_vision": Recipe(make=_cohere2_vision, seed=1, rewinds=False, needs=("torchvision",)),
    "cohere_compass": Recipe(make=_cohere_compass, rewinds=False),
}
