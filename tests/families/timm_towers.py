"""Families whose vision tower is timm's: FastVLM, Perception LM and Gemma 3n."""

from typing import Any

import transformers as hf

from . import templates
from .parts import Made, chatml_text
from .recipe import HIDDEN, Recipe, decoder, square
from .text import tokenizer

_NEEDS = ("torchvision", "timm")


def _fast_vlm() -> Made:
    text = chatml_text(image="<image>")
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size=square(64)),
        tokenizer=text,
        patch_size=32,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=text.chat_template,
    )
    config = hf.FastVlmConfig(
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "resnet10t",
            "do_pooling": False,
            "num_classes": 0,
            "model_args": {"channels": (8, 8, 8, HIDDEN), "stem_width": 8},
        },
        text_config=decoder(text, "qwen2"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    config.vision_config.hidden_size = HIDDEN
    return config, processor


def _perception_lm() -> Made:
    text = tokenizer(
        (
            "<|finetune_right_pad_id|>",
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
            "<|image|>",
            "<|video|>",
        ),
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        pad="<|finetune_right_pad_id|>",
        named={"image_token": "<|image|>", "video_token": "<|video|>"},
        template=templates.LLAMA3_PICTURES,
    )
    processor = hf.PerceptionLMProcessor(
        video_processor=None,
        image_processor=hf.PerceptionLMImageProcessor(
            tile_size=16, max_num_tiles=2, size=square(16), vision_input_type="thumb+tile"
        ),
        tokenizer=text,
        patch_size=4,
        pooling_ratio=2,
        chat_template=templates.LLAMA3_PICTURES,
    )
    tower: dict[str, Any] = {
        "img_size": [16, 16],
        "patch_size": 4,
        "embed_dim": HIDDEN,
        "depth": 2,
        "num_heads": 4,
        "ref_feat_shape": [4, 4],
        "global_pool": "",
        "use_post_transformer_norm": False,
    }
    config = hf.PerceptionLMConfig(
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_core_tiny_patch16_384",
            "do_pooling": False,
            "num_classes": 0,
            "model_args": tower,
        },
        text_config=decoder(text, "llama"),
        projector_pooling_ratio=2,
        image_token_id=text.convert_tokens_to_ids("<|image|>"),
        video_token_id=text.convert_tokens_to_ids("<|video|>"),
    )
    config.vision_config.hidden_size = HIDDEN
    return config, processor


def _gemma3n() -> Made:
    named = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
        "boa_token": "<start_of_audio>",
        "eoa_token": "<end_of_audio>",
        "audio_token": "<audio_soft_token>",
    }
    template = templates.GEMMA3.replace("<start_of_image>", "<image_soft_token>")
    text = tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", *named.values()),
        bos="<bos>",
        eos="<end_of_turn>",
        pad="<pad>",
        named=named,
        template=template,
    )
    processor = hf.Gemma3nProcessor(
        feature_extractor=None,
        image_processor=hf.SiglipImageProcessorPil(size=square(64)),
        tokenizer=text,
        image_seq_length=4,
        audio_seq_length=4,
        chat_template=template,
    )
    ids = text.convert_tokens_to_ids
    config = hf.Gemma3nConfig(
        # MobileNet V5 has no small variant: another of timm's stands in for it.
        vision_config={
            "architecture": "resnet10t",
            "hidden_size": HIDDEN,
            "num_classes": 0,
            "model_args": {"channels": (8, 8, 8, HIDDEN), "stem_width": 8},
        },
        audio_config={
            "input_feat_size": 16,
            "hidden_size": HIDDEN,
            "conf_num_attention_heads": 4,
            "conf_num_hidden_layers": 1,
            "sscp_conv_channel_size": (8, 8),
        },
        text_config=decoder(
            text,
            "gemma3n_text",
            num_hidden_layers=4,
            num_kv_shared_layers=2,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"] * 2,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=len(text),
            altup_num_inputs=2,
            laurel_rank=8,
        ),
        vision_soft_tokens_per_image=4,
        audio_soft_tokens_per_image=4,
        boi_token_id=ids("<start_of_image>"),
        eoi_token_id=ids("<end_of_image>"),
        image_token_id=ids("<image_soft_token>"),
        boa_token_id=ids("<start_of_audio>"),
        eoa_token_id=ids("<end_of_audio>"),
        audio_token_id=ids("<audio_soft_token>"),
    )
    return config, processor


RECIPES = {
    "gemma3n": Recipe(make=_gemma3n, seed=1, rewinds=False, needs=_NEEDS),
    "fast_vlm": Recipe(make=_fast_vlm, needs=_NEEDS),
    "perception_lm": Recipe(make=_perception_lm, needs=_NEEDS),
}
