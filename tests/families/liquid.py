"""Liquid's line: decoders of convolutions and attention, whose caches hold convolution states."""

from typing import Any

import transformers as hf

from . import templates
from .parts import Made, llama_text, llava_processor
from .qwen import picture_ids, qwen_processor, qwen_text
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer

_LAYERS: dict[str, Any] = {"layer_types": ["conv", "full_attention"]}


def _llava_lfm2() -> Made:
    """LLaVA around LFM2, as some have built it."""
    text = llama_text()
    processor = llava_processor(text)
    config = hf.LlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "lfm2", block_multiple_of=8, **_LAYERS),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return config, processor


def _lfm2_vl() -> Made:
    named = {
        "image_token": "<image>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail_token": "<|img_thumbnail|>",
    }
    template = "{{ bos_token }}" + templates.chatml("{{ '<image>' }}")
    text = tokenizer(
        (
            "<|pad|>",
            "<|startoftext|>",
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            *named.values(),
            *(f"<|img_row_{i}_col_{j}|>" for i in range(1, 3) for j in range(1, 3)),
        ),
        bos="<|startoftext|>",
        eos="<|im_end|>",
        pad="<|pad|>",
        named=named,
        template=template,
    )
    processor = hf.Lfm2VlProcessor(
        image_processor=hf.Lfm2VlImageProcessor(
            downsample_factor=2,
            encoder_patch_size=4,
            tile_size=16,
            size=square(16),
            min_image_tokens=2,
            max_image_tokens=4,
            min_tiles=2,
            max_tiles=2,
        ),
        tokenizer=text,
        chat_template=template,
    )
    config = hf.Lfm2VlConfig(
        vision_config={
            "model_type": "siglip2_vision_model",
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "patch_size": 4,
            "num_patches": 16,
            "vision_use_head": False,
        },
        text_config=decoder(text, "lfm2", block_multiple_of=8, **_LAYERS),
        image_token_id=text.convert_tokens_to_ids("<image>"),
        projector_hidden_size=HIDDEN,
        downsample_factor=2,
    )
    return config, processor


def _lfm3_vl() -> Made:
    template = templates.QWEN_VL
    text = qwen_text(template)
    config = hf.Lfm3VlConfig(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS // 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            **_LAYERS,
        },
        text_config=decoder(text, "lfm3", sliding_window=16, conv_L_cache=3, **_LAYERS),
        projector_hidden_size=HIDDEN,
        **picture_ids(text),
    )
    return config, qwen_processor(hf.Lfm3VlProcessor, text, template)


RECIPES = {
    "llava-lfm2": Recipe(make=_llava_lfm2, model_type="llava", rewinds=False),
    "lfm2_vl": Recipe(make=_lfm2_vl, rewinds=False, needs=("torchvision",)),
    "lfm3_vl": Recipe(make=_lfm3_vl, rewinds=False),
}
