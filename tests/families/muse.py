"""Llama 4, whose pictures come in tiles, and the Muse models."""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast

from . import templates
from .parts import Made
from .recipe import HIDDEN, Recipe, decoder, square, vision
from .text import tokenizer

_TURNS = (
    "<|finetune_right_pad|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|header_start|>",
    "<|header_end|>",
    "<|eot|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|image|>",
    "<|patch|>",
)


def _text(*more: str, template: str, **named: str) -> PreTrainedTokenizerFast:
    return tokenizer(
        (*_TURNS, *more, *named.values()),
        bos="<|begin_of_text|>",
        eos="<|eot|>",
        pad="<|finetune_right_pad|>",
        named=named,
        template=template,
    )


def _llama4() -> Made:
    text = _text("<|tile_x_separator|>", "<|tile_y_separator|>", template=templates.LLAMA4)
    processor = hf.Llama4Processor(
        image_processor=hf.Llama4ImageProcessor(size=square(16), max_patches=2),
        tokenizer=text,
        patch_size=4,
        chat_template=templates.LLAMA4,
    )
    ids = text.convert_tokens_to_ids
    config = hf.Llama4Config(
        vision_config=vision(
            "llama4_vision_model",
            image_size=16,
            patch_size=4,
            intermediate_size=4 * HIDDEN,  # what four patches shuffled into one are wide
            vision_output_dim=HIDDEN,
            projector_input_dim=HIDDEN,
            projector_output_dim=HIDDEN,
        ),
        text_config=decoder(
            text,
            "llama4_text",
            intermediate_size_mlp=2 * HIDDEN,
            num_local_experts=2,
            no_rope_layers=[1, 0],
            attention_chunk_size=512,
        ),
        boi_token_index=ids("<|image_start|>"),
        eoi_token_index=ids("<|image_end|>"),
        image_token_index=ids("<|patch|>"),
    )
    return config, processor


def _muse_pictures() -> Any:
    return hf.MuseGlimmerImageProcessor(
        patch_size=4, temporal_patch_size=2, merge_size=2, max_image_tokens=8
    )


def _muse_tower(model_type: str) -> dict[str, Any]:
    return vision(
        model_type,
        image_size=16,
        patch_size=4,
        pos_emb_height=4,
        pos_emb_width=4,
        max_position_embeddings=16,
        layer_types=["window_attention", "full_attention"],
    )


def _muse_decoder(text: PreTrainedTokenizerFast, model_type: str, **options: Any) -> dict[str, Any]:
    return decoder(
        text,
        model_type,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
        qk_scale_factor=1.0,
        output_multiplier=1.0,
        **options,
    )


_FRAMES = ("<|video|>", "<|vid_frame_separator|>", "<|vid_start|>", "<|vid_end|>")


def _muse_glimmer() -> Made:
    text = _text(*_FRAMES, template=templates.MUSE)
    processor = hf.MuseGlimmerProcessor(
        image_processor=_muse_pictures(),
        video_processor=None,
        tokenizer=text,
        chat_template=templates.MUSE,
    )
    config = hf.MuseGlimmerConfig(
        vision_config=_muse_tower("muse_glimmer_vision"),
        text_config=_muse_decoder(text, "muse_glimmer_text"),
        image_token_id=text.convert_tokens_to_ids("<|patch|>"),
        video_token_id=text.convert_tokens_to_ids("<|video|>"),
        out_hidden_size=4 * HIDDEN,  # four patches side by side
        projector_hidden_size=HIDDEN,
    )
    return config, processor


def _muse_spark() -> Made:
    sounds = ("<|audio|>", "<|soft_audio_start|>", "<|soft_audio_end|>")
    text = _text(*_FRAMES, *sounds, template=templates.MUSE)
    processor = hf.MuseSparkProcessor(
        image_processor=_muse_pictures(),
        video_processor=None,
        feature_extractor=None,
        tokenizer=text,
        chat_template=templates.MUSE,
    )
    config = hf.MuseSparkConfig(
        vision_config=_muse_tower("muse_spark_vision"),
        text_config=_muse_decoder(
            text,
            "muse_spark_text",
            moe_intermediate_size=HIDDEN,
            moe_hidden_size=HIDDEN,
            num_local_experts=4,
            num_experts_per_tok=2,
        ),
        audio_config={
            "patch_sizes": [4],
            "hidden_sizes": [HIDDEN],
            "depths": [1],
            "num_hidden_layers": 1,
            "out_hidden_size": HIDDEN,
        },
        image_token_id=text.convert_tokens_to_ids("<|patch|>"),
        video_token_id=text.convert_tokens_to_ids("<|video|>"),
        audio_token_id=text.convert_tokens_to_ids("<|audio|>"),
        out_hidden_size=4 * HIDDEN,  # four patches side by side
        projector_hidden_size=HIDDEN,
    )
    return config, processor


RECIPES = {
    "llama4": Recipe(make=_llama4, needs=("torchvision",)),
    "muse_glimmer": Recipe(make=_muse_glimmer, seed=1, rewinds=False, needs=("torchvision",)),
    "muse_spark": Recipe(make=_muse_spark, rewinds=False, needs=("torchvision",)),
}
