"""More families, which nobody asked for by name: the generic path should serve them as they are.

Importing this module adds them to the recipes that `build` knows, and to no list that tests run
over.
"""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import transformers as hf
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, ProcessorMixin
from transformers.models.got_ocr2.processing_got_ocr2 import GotOcr2ProcessorKwargs
from transformers.models.smolvlm import processing_smolvlm

from tests.families import RECIPES, templates
from tests.families.recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from tests.families.text import tokenizer

_LLAMA = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TILES = [[16, 32], [32, 16], [32, 32]]

Made = tuple[PreTrainedConfig, ProcessorMixin]


def _clip() -> Any:
    return hf.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square(16))


def _llama(**named: str) -> PreTrainedTokenizerFast:
    return tokenizer(
        (*_LLAMA, *named.values()),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        add_bos=True,
        named={"image_token": "<image>", **named},
        template=templates.LLAVA,
    )


def _chatml(*more: str, image: str, **named: str) -> PreTrainedTokenizerFast:
    return tokenizer(
        (*_CHATML, image, *more, *named.values()),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named={"image_token": image, **named},
        template=templates._chatml("{{ '" + image + "\\n' }}"),
    )


def _vipllava() -> Made:
    text = _llama()
    processor = hf.LlavaProcessor(
        image_processor=_clip(),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    config = hf.VipLlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    # Older and newer transformers name it differently; where both are one, this sets it twice.
    config.vision_feature_layers = config.vision_feature_layer = [-1, -2]
    return config, processor


def _llava_next_video() -> Made:
    text = _llama(video_token="<video>")
    processor = hf.LlavaNextVideoProcessor(
        video_processor=None,
        image_processor=hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=square(16), image_grid_pinpoints=_TILES
        ),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    config = hf.LlavaNextVideoConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        video_token_index=text.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=_TILES,
    )
    return config, processor


def _smolvlm() -> Made:
    text = tokenizer(
        (
            "<|endoftext|>",
            "<|im_start|>",
            "<end_of_utterance>",
            "<fake_token_around_image>",
            "<image>",
            "<global-img>",
            *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)),
        ),
        bos="<|im_start|>",
        eos="<end_of_utterance>",
        pad="<|endoftext|>",
        template=templates.SMOLVLM,
    )
    with mock.patch.object(processing_smolvlm, "num2words", str):  # for videos only
        processor = processing_smolvlm.SmolVLMProcessor(
            image_processor=hf.SmolVLMImageProcessorPil(
                size={"longest_edge": 32}, max_image_size={"longest_edge": 16}
            ),
            tokenizer=text,
            video_processor=None,
            image_seq_len=4,
            chat_template=templates.SMOLVLM,
        )
    processor.video_processor = SimpleNamespace(num_frames=1, fps=1)
    config = hf.SmolVLMConfig(
        vision_config=vision("smolvlm_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return config, processor


def _got_ocr2() -> Made:
    text = _chatml("<img>", "</img>", image="<imgpad>")
    processor = hf.GotOcr2Processor(
        image_processor=hf.GotOcr2ImageProcessorPil(size=square(64)),
        tokenizer=text,
        chat_template=text.chat_template,
    )
    processor.num_image_tokens = 4
    config = hf.GotOcr2Config(
        vision_config={
            "hidden_size": HIDDEN,
            "output_channels": HIDDEN // 2,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "image_size": 64,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": HIDDEN,
        },
        text_config=decoder(text, "qwen2"),
        image_token_index=text.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=4,
    )
    return config, processor


def _ovis2() -> Made:
    indicators = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    text = _chatml("<IMG_ATOM>", *indicators, image="<image>")
    processor = hf.Ovis2Processor(
        image_processor=hf.Ovis2ImageProcessorPil(size=square(16), max_patches=2),
        tokenizer=text,
        chat_template=text.chat_template,
        image_seq_length=4,
    )
    config = hf.Ovis2Config(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "image_size": 16,
            "patch_size": 8,
            "vocab_size": 64,
        },
        text_config=decoder(text, "qwen2"),
        image_token_id=text.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=text.convert_tokens_to_ids(list(indicators)),
        vocab_size=len(text),
        hidden_size=HIDDEN,
    )
    return config, processor


def _deepseek_vl() -> Made:
    text = _llama()
    processor = hf.DeepseekVLProcessor(
        image_processor=hf.DeepseekVLImageProcessorPil(size=square(16)),
        tokenizer=text,
        chat_template=templates.LLAVA,
        num_image_tokens=16,
    )
    config = hf.DeepseekVLConfig(
        vision_config=vision("siglip_vision_model", image_size=16, patch_size=4),
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _qwen3_vl_moe() -> Made:
    made = RECIPES["qwen3_vl"].make()
    assert made[0].text_config is not None
    text = {
        **made[0].text_config.to_dict(),
        "model_type": "qwen3_vl_moe_text",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": HIDDEN,
        "decoder_sparse_step": 1,
    }
    tower = {**made[0].vision_config.to_dict(), "model_type": "qwen3_vl_moe_vision"}
    ids = {
        name: getattr(made[0], name)
        for name in (
            "image_token_id",
            "video_token_id",
            "vision_start_token_id",
            "vision_end_token_id",
        )
    }
    return hf.Qwen3VLMoeConfig(text_config=text, vision_config=tower, **ids), made[1]


def _chameleon() -> Made:
    text = tokenizer(
        (
            *_LLAMA,
            "<reserved>",
            "<racm3:break>",
            "<eoss>",
            *(f"IMGIMG{a}{b}Z" for a in "AB" for b in "ABCDEFGH"),
        ),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        named={"image_token": "<image>", "boi_token": "<racm3:break>", "eoi_token": "<eoss>"},
        template=templates.LLAVA,
    )
    text.sep_token = "<reserved>"
    processor = hf.ChameleonProcessor(
        image_processor=hf.ChameleonImageProcessorPil(
            size={"shortest_edge": 32}, crop_size=square(32)
        ),
        tokenizer=text,
        image_seq_length=4,
    )
    processor.chat_template = templates.LLAVA
    config = hf.ChameleonConfig(
        **{k: v for k, v in decoder(text, "chameleon").items() if k not in {"model_type"}},
        vq_config={
            "embed_dim": 8,
            "num_embeddings": 16,
            "latent_channels": 8,
            "resolution": 32,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1, 1],
            "num_res_blocks": 1,
        },
        vocabulary_map=text.get_vocab(),
    )
    return config, processor


def _janus() -> Made:
    text = _llama(boi_token="<begin_of_image>", eoi_token="<end_of_image>")
    processor = hf.JanusProcessor(
        image_processor=hf.JanusImageProcessorPil(size=square(16), min_size=8),
        tokenizer=text,
        chat_template=templates.LLAVA,
        num_image_tokens=16,
    )
    config = hf.JanusConfig(
        vision_config={
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "image_size": 16,
            "patch_size": 4,
            "mlp_ratio": 2.0,
            "projection_dim": HIDDEN,
            "num_image_tokens": 16,
        },
        vq_config={
            "embed_dim": 8,
            "num_embeddings": 16,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_patches": 4,
            "projection_dim": HIDDEN,
            "image_token_embed_dim": HIDDEN,
        },
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


NEWCOMERS: dict[str, Recipe] = {
    "vipllava": Recipe(make=_vipllava),
    "llava_next_video": Recipe(make=_llava_next_video),
    "smolvlm": Recipe(make=_smolvlm),
    "got_ocr2": Recipe(make=_got_ocr2, most_pictures=1, text_only=False),
    "ovis2": Recipe(make=_ovis2),
    "deepseek_vl": Recipe(make=_deepseek_vl),
    "qwen3_vl_moe": Recipe(make=_qwen3_vl_moe),
    "janus": Recipe(make=_janus),
    "chameleon": Recipe(make=_chameleon),
}
if "num_image_tokens" not in GotOcr2ProcessorKwargs.__annotations__:
    del NEWCOMERS["got_ocr2"]  # its processor writes 256 image tokens, whatever the model's size
RECIPES.update(NEWCOMERS)
