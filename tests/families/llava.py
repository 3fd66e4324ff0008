"""LLaVA and its descendants: a vision tower whose patches stand in for placeholder tokens."""

from transformers import (
    AyaVisionConfig,
    AyaVisionProcessor,
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLProcessor,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
)

from . import templates
from .parts import CHATML, COHERE, LLAMA, TILES, Made, chatml_text, llama_text, llava_processor
from .recipe import Recipe, decoder, square, vision
from .text import tokenizer


def _llava() -> Made:
    text = llama_text()
    processor = llava_processor(text)
    config = LlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return config, processor


def _llava_next() -> Made:
    text = tokenizer(
        LLAMA,
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        named={"image_token": "<image>"},
        template=templates.LLAVA_NEXT,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=square(16), image_grid_pinpoints=TILES
        ),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA_NEXT,
    )
    config = LlavaNextConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "mistral", sliding_window=None),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=TILES,
        image_seq_length=4,
    )
    return config, processor


def _llava_onevision() -> Made:
    text = chatml_text(image="<image>", template=templates.LLAVA_ONEVISION, video_token="<video>")
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessorPil(
            size=square(16), image_grid_pinpoints=[[16, 16], *TILES]
        ),
        tokenizer=text,
        video_processor=None,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=templates.LLAVA_ONEVISION,
    )
    config = LlavaOnevisionConfig(
        vision_config=vision(
            "siglip_vision_model", image_size=16, patch_size=8, vision_use_head=False
        ),
        text_config=decoder(text, "qwen2"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        video_token_index=text.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[16, 16], *TILES],
    )
    return config, processor


def _internvl() -> Made:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    text = tokenizer(
        (*CHATML, *named.values()),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named=named,
        template=templates.INTERNVL,
    )
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessorPil(
            size=square(16), crop_to_patches=True, min_patches=1, max_patches=2
        ),
        tokenizer=text,
        video_processor=None,
        image_seq_length=4,
        chat_template=templates.INTERNVL,
    )
    config = InternVLConfig(
        vision_config=vision("internvl_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "qwen2"),
        image_token_id=text.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return config, processor


def _aya_vision() -> Made:
    specials = (
        *COHERE,
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_PATCH|>",
        "<|IMG_LINE_BREAK|>",
        "TILE_GLOBAL",
        *(f"TILE_{i}" for i in range(1, 5)),
        "<image>",
    )
    text = tokenizer(
        specials,
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
        pad="<PAD>",
        template=templates.AYA_VISION,
    )
    processor = AyaVisionProcessor(
        image_processor=GotOcr2ImageProcessorPil(
            size=square(16), crop_to_patches=True, min_patches=1, max_patches=2
        ),
        tokenizer=text,
        patch_size=4,
        img_size=16,
        downsample_factor=2,
        chat_template=templates.AYA_VISION,
    )
    config = AyaVisionConfig(
        vision_config=vision(
            "siglip_vision_model", image_size=16, patch_size=4, vision_use_head=False
        ),
        text_config=decoder(
            text,
            "cohere2",
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        image_token_index=text.convert_tokens_to_ids("<|IMG_PATCH|>"),
        downsample_factor=2,
    )
    return config, processor


RECIPES = {
    "llava": Recipe(make=_llava),
    "llava_next": Recipe(make=_llava_next),
    "llava_onevision": Recipe(make=_llava_onevision),
    "internvl": Recipe(make=_internvl),
    "aya_vision": Recipe(make=_aya_vision, rewinds=False),
}
