"""Gemma 3 (sliding windows, pictures seen in both directions) and PaliGemma (prefix model)."""

from transformers import (
    Gemma3Config,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    PreTrainedConfig,
    ProcessorMixin,
    SiglipImageProcessorPil,
)

from . import templates
from .recipe import HIDDEN, Recipe, decoder, square, vision
from .text import tokenizer


def _gemma3() -> tuple[PreTrainedConfig, ProcessorMixin]:
    named = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    text = tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", *named.values()),
        bos="<bos>",
        eos="<end_of_turn>",
        pad="<pad>",
        named=named,
        template=templates.GEMMA3,
    )
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size=square(16)),
        tokenizer=text,
        image_seq_length=4,
        chat_template=templates.GEMMA3,
    )
    config = Gemma3Config(
        vision_config=vision(
            "siglip_vision_model", image_size=16, patch_size=4, vision_use_head=False
        ),
        text_config=decoder(
            text,
            "gemma3_text",
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            query_pre_attn_scalar=8,
        ),
        mm_tokens_per_image=4,
        boi_token_index=text.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=text.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=text.convert_tokens_to_ids("<image_soft_token>"),
    )
    return config, processor


def _paligemma() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<image>"),
        bos="<bos>",
        eos="<eos>",
        pad="<pad>",
        named={"image_token": "<image>"},
    )
    picture = SiglipImageProcessorPil(size=square(16))
    picture.image_seq_length = 4
    processor = PaliGemmaProcessor(image_processor=picture, tokenizer=text)
    config = PaliGemmaConfig(
        vision_config=vision(
            "siglip_vision_model",
            image_size=16,
            patch_size=8,
            vision_use_head=False,
            projection_dim=HIDDEN,
        ),
        text_config=decoder(text, "gemma"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        projection_dim=HIDDEN,
    )
    return config, processor


RECIPES = {
    "gemma3": Recipe(make=_gemma3, rewinds=False),
    "paligemma": Recipe(
        make=_paligemma,
        prefix="whole",
        rewinds=False,
        prompt=lambda words, pictures: "<image>" * pictures + words + "\n",
        text_only=False,
    ),
}
