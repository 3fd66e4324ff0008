"""Gemma 4: shared layers; pictures of any shape, through a tower or straight into the decoder."""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast

from . import templates
from .parts import Made
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, needed_by
from .text import tokenizer


def _text() -> PreTrainedTokenizerFast:
    named = {
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "audio_token": "<|audio|>",
    }
    return tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", *named.values(), "<|video|>"),
        bos="<bos>",
        eos="<turn|>",
        pad="<pad>",
        named=named,
        template=templates.GEMMA4,
    )


def _ids(text: PreTrainedTokenizerFast) -> dict[str, Any]:
    ids = text.convert_tokens_to_ids
    return {
        "boi_token_id": ids("<|image>"),
        "eoi_token_id": ids("<image|>"),
        "image_token_id": ids("<|image|>"),
        "video_token_id": ids("<|video|>"),
        "boa_token_id": ids("<|audio>"),
        "eoa_token_index": ids("<audio|>"),
        "audio_token_id": ids("<|audio|>"),
    }


def _gemma4() -> Made:
    text = _text()
    processor = hf.Gemma4Processor(
        feature_extractor=None,
        image_processor=hf.Gemma4ImageProcessorPil(
            patch_size=4, max_soft_tokens=70, pooling_kernel_size=2
        ),
        tokenizer=text,
        video_processor=None,
        image_seq_length=70,
        chat_template=templates.GEMMA4,
    )
    config = hf.Gemma4Config(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HIDDEN // HEADS,
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "position_embedding_size": 64,
        },
        text_config=decoder(
            text,
            "gemma4_text",
            num_hidden_layers=4,
            num_kv_shared_layers=2,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"] * 2,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=len(text),
        ),
        audio_config=None,
        **_ids(text),
    )
    return config, processor


def _gemma4_unified() -> Made:
    text = _text()
    processor = hf.Gemma4UnifiedProcessor(
        feature_extractor=None,
        image_processor=hf.Gemma4UnifiedImageProcessor(
            patch_size=4, max_soft_tokens=70, pooling_kernel_size=2
        ),
        tokenizer=text,
        video_processor=None,
        image_seq_length=70,
        chat_template=templates.GEMMA4,
    )
    config = hf.Gemma4UnifiedConfig(
        vision_config={
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "mm_embed_dim": HIDDEN,
            "mm_posemb_size": 64,
            "output_proj_dims": HIDDEN,
        },
        text_config=decoder(
            text,
            "gemma4_unified_text",
            global_head_dim=HIDDEN // HEADS,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        audio_config=None,
        **_ids(text),
    )
    return config, processor


RECIPES = {
    "gemma4": Recipe(make=_gemma4, rewinds=False, needs=needed_by("Gemma4Processor")),
    "gemma4_unified": Recipe(make=_gemma4_unified, rewinds=False, needs=("torchvision",)),
}
