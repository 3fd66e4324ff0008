"""Families nobody named: the generic path should serve them, or say plainly that it cannot."""

from importlib import import_module

from transformers import (
    Blip2Config,
    Blip2Processor,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    Gemma4Config,
    Glm4vConfig,
    Glm4vImageProcessorPil,
    Glm4vProcessor,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedConfig,
    ProcessorMixin,
)

from . import templates
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer


def _glm4v() -> tuple[PreTrainedConfig, ProcessorMixin]:
    specials = (
        "<|endoftext|>",
        "[gMASK]",
        "<sop>",
        "<|system|>",
        "<|user|>",
        "<|assistant|>",
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|image|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
        "<|video|>",
    )
    text = tokenizer(
        specials,
        eos="<|endoftext|>",
        pad="<|endoftext|>",
        template=templates.GLM4V,
    )
    processor = Glm4vProcessor(
        image_processor=Glm4vImageProcessorPil(
            patch_size=4,
            merge_size=2,
            temporal_patch_size=2,
            size={"shortest_edge": 2 * 16 * 16, "longest_edge": 2 * 32 * 32},
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=templates.GLM4V,
    )
    ids = text.convert_tokens_to_ids
    config = Glm4vConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "num_heads": HEADS,
            "image_size": 32,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
        },
        text_config=decoder(
            text,
            "glm4v_text",
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 1.0,
                "mrope_section": [2, 1, 1],
            },
        ),
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"),
        image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"),
        video_end_token_id=ids("<|end_of_video|>"),
    )
    return config, processor


def _gemma4_needs_torchvision() -> bool:
    try:
        import_module("transformers.models.gemma4.processing_gemma4")
    except ImportError:  # as in transformers 5.20
        return True
    return False


def _gemma4() -> tuple[PreTrainedConfig, ProcessorMixin]:
    named = {
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "audio_token": "<|audio|>",
    }
    text = tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", *named.values(), "<|video|>"),
        bos="<bos>",
        eos="<turn|>",
        pad="<pad>",
        named=named,
        template=templates.GEMMA4,
    )
    from transformers import Gemma4ImageProcessorPil, Gemma4Processor

    processor = Gemma4Processor(
        feature_extractor=None,
        image_processor=Gemma4ImageProcessorPil(
            patch_size=4, max_soft_tokens=70, pooling_kernel_size=2
        ),
        tokenizer=text,
        video_processor=None,
        image_seq_length=70,
        chat_template=templates.GEMMA4,
    )
    ids = text.convert_tokens_to_ids
    config = Gemma4Config(
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
        boi_token_id=ids("<|image>"),
        eoi_token_id=ids("<image|>"),
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        boa_token_id=ids("<|audio>"),
        eoa_token_index=ids("<audio|>"),
        audio_token_id=ids("<|audio|>"),
    )
    return config, processor


def _llava_lfm2() -> tuple[PreTrainedConfig, ProcessorMixin]:
    """LLaVA around a hybrid of convolutions and attention: its cache holds convolution states."""
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<pad>", "<image>"),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        add_bos=True,
        named={"image_token": "<image>"},
        template=templates.LLAVA,
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square(16)),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    config = LlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(
            text, "lfm2", layer_types=["conv", "full_attention"], block_multiple_of=8
        ),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return config, processor


def _blip_2_t5() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(("<pad>", "</s>", "<unk>", "<image>"), eos="</s>", pad="<pad>")
    processor = Blip2Processor(
        image_processor=BlipImageProcessorPil(size=square(16)), tokenizer=text, num_query_tokens=4
    )
    config = Blip2Config(
        vision_config=vision("blip_2_vision_model", image_size=16, patch_size=8),
        qformer_config={
            "vocab_size": len(text),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "encoder_hidden_size": HIDDEN,
            "cross_attention_frequency": 1,
        },
        text_config={
            "model_type": "t5",
            "vocab_size": len(text),
            "d_model": HIDDEN,
            "d_kv": HIDDEN // HEADS,
            "d_ff": 2 * HIDDEN,
            "num_layers": LAYERS,
            "num_heads": HEADS,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
            "decoder_start_token_id": text.pad_token_id,
        },
        num_query_tokens=4,
        image_token_index=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


RECIPES = {
    "glm4v": Recipe(make=_glm4v),
    "gemma4": Recipe(make=_gemma4),
    "llava-lfm2": Recipe(make=_llava_lfm2),
    "blip-2-t5": Recipe(
        make=_blip_2_t5,
        prompt=lambda words, pictures: f"Question: {words} Answer:",
        most_pictures=1,
        text_only=False,
        decoder_only=False,
    ),
}
if _gemma4_needs_torchvision():
    del RECIPES["gemma4"]
