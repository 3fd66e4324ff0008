"""Apertus 1.5: pictures are codes of a vocabulary that the head has no rows for."""

import transformers as hf

from . import templates
from .parts import Made
from .recipe import Recipe, decoder
from .text import tokenizer

_CODES = 16
_SOUNDS = 4


def _apertus() -> Made:
    named = {
        "image_token": "<|image|>",
        "audio_token": "<|audio|>",
        "boi_token": "<|img_start|>",
        "eoi_token": "<|img_end|>",
        "image_wrapper_token": "<|img_token_start|>",
        "eol_token": "<|img_end_of_row|>",
        "boa_token": "<|audio_start|>",
        "eoa_token": "<|audio_end|>",
    }
    turns = (
        f"<|{who}_{end}|>" for who in ("system", "user", "assistant") for end in ("start", "end")
    )
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<pad>", *turns, *named.values()),
        bos="<s>",
        eos="<|assistant_end|>",
        pad="<pad>",
        named=named,
        template=templates.APERTUS,
    )
    processor = hf.Apertus1p5Processor(
        image_processor=hf.Apertus1p5ImageProcessor(
            size={"min_pixels": 16 * 16, "max_pixels": 32 * 32}, spatial_factor=8
        ),
        feature_extractor=None,
        tokenizer=text,
        chat_template=templates.APERTUS,
    )
    words = len(text)
    ids = text.convert_tokens_to_ids
    config = hf.Apertus1p5Config(
        vision_config={
            "codebook_size": _CODES,
            "embed_dim": 4,
            "latent_channels": 4,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "attn_resolutions": [],
        },
        audio_config={
            "model_type": "wavtokenizer_encoder",
            "num_filters": 2,
            "upsampling_ratios": [2, 2],
            "num_lstm_layers": 1,
            "hidden_size": 8,
            "codebook_size": _SOUNDS,
            "codebook_dim": 8,
        },
        text_config={
            **decoder(text, "apertus1p5_text"),
            "vocab_size": words + _CODES + _SOUNDS,
            "output_vocab_size": words,
        },
        image_token_id=ids("<|image|>"),
        audio_token_id=ids("<|audio|>"),
        image_token_offset=words,
        audio_token_offset=words + _CODES,
    )
    return config, processor


RECIPES = {"apertus1p5": Recipe(make=_apertus, seed=1, needs=("torchvision",))}
