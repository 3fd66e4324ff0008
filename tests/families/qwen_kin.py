"""Models around a Qwen-VL tower: mixtures of experts, Omni's thinkers, other houses' decoders."""

from typing import Any

import transformers as hf
from transformers import ProcessorMixin

from . import templates
from .parts import Made
from .qwen import MROPE, picture_ids, qwen_pictures, qwen_processor, qwen_text, tower
from .recipe import HEADS, HIDDEN, Recipe, decoder

_MOE: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": HIDDEN,
}
_LINEAR: dict[str, Any] = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
_INTERLEAVED = {**MROPE, "mrope_interleaved": True}
_PLACED = {"intermediate_size": 2 * HIDDEN, "out_hidden_size": HIDDEN}
_LEARNED = {**_PLACED, "num_position_embeddings": 64}
_WINDOWS = {**_PLACED, "window_size": 16, "fullatt_block_indexes": [1]}


def _qwen3_vl_moe() -> Made:
    text = qwen_text(templates.QWEN3_VL)
    config = hf.Qwen3VLMoeConfig(
        vision_config=tower(
            model_type="qwen3_vl_moe_vision", deepstack_visual_indexes=[0], **_LEARNED
        ),
        text_config=decoder(
            text, "qwen3_vl_moe_text", rope_parameters=_INTERLEAVED, decoder_sparse_step=1, **_MOE
        ),
        **picture_ids(text),
    )
    return config, qwen_processor(hf.Qwen3VLProcessor, text, templates.QWEN3_VL)


def _cosmos3_omni() -> Made:
    text = qwen_text(templates.QWEN3_VL)
    config = hf.Cosmos3OmniConfig(
        vision_config=tower(model_type="qwen3_vl_vision", deepstack_visual_indexes=[0], **_LEARNED),
        text_config=decoder(text, "qwen3_vl_text", rope_parameters=_INTERLEAVED),
        **picture_ids(text),
    )
    return config, qwen_processor(hf.Qwen3VLProcessor, text, templates.QWEN3_VL)


def _qwen3_5_moe() -> Made:
    text = qwen_text(templates.QWEN_3_5)
    config = hf.Qwen3_5MoeConfig(
        vision_config=tower(model_type="qwen3_5_moe_vision", **_LEARNED),
        text_config=decoder(
            text,
            "qwen3_5_moe_text",
            head_dim=16,
            rope_parameters={**_INTERLEAVED, "partial_rotary_factor": 0.5},
            layer_types=["linear_attention", "full_attention"],
            shared_expert_intermediate_size=HIDDEN,
            **_LINEAR,
            **_MOE,
        ),
        **picture_ids(text),
    )
    return config, qwen_processor(hf.Qwen3VLProcessor, text, templates.QWEN_3_5)


def _qwen4_exp() -> Made:
    text = qwen_text(templates.QWEN_3_5)
    config = hf.Qwen4ExpConfig(
        vision_config=tower(model_type="qwen4_exp_vision", **_LEARNED),
        text_config=decoder(
            text,
            "qwen4_exp_text",
            head_dim=16,
            rope_parameters={**_INTERLEAVED, "partial_rotary_factor": 0.5},
            layer_types=["linear_attention", "indexed_attention"],
            shared_expert_intermediate_size=HIDDEN,
            hc_count=2,
            hc_lowrank=8,
            indexer_n_heads=2,
            indexer_kv_heads=1,
            indexer_head_dim=8,
            indexer_budget=1024,
            indexer_compress_ratio=4,
            **_LINEAR,
            **_MOE,
        ),
        **picture_ids(text),
    )
    return config, qwen_processor(hf.Qwen3VLProcessor, text, templates.QWEN_3_5)


def _exaone4_5() -> Made:
    text = qwen_text(templates.QWEN_VL)
    config = hf.Exaone4_5_Config(
        vision_config=tower(
            model_type="exaone4_5_vision", num_key_value_heads=HEADS // 2, **_WINDOWS
        ),
        text_config=decoder(
            text,
            "exaone4",
            sliding_window=16,
            sliding_window_pattern=2,
            layer_types=["sliding_attention", "full_attention"],
        ),
        image_token_id=text.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=text.convert_tokens_to_ids("<|video_pad|>"),
    )
    return config, qwen_processor(hf.Exaone4_5_Processor, text, templates.QWEN_VL)


def _hyperclovax() -> Made:
    text = qwen_text(templates.QWEN_VL)
    config = hf.HyperCLOVAXVisionV2Config(
        vision_config=tower(model_type="qwen2_5_vl_vision", **_WINDOWS),
        text_config=decoder(text, "hyperclovax", attention_multiplier=0.35),
        image_token_id=text.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=text.convert_tokens_to_ids("<|video_pad|>"),
        tie_word_embeddings=False,
    )
    return config, qwen_processor(hf.HyperCLOVAXVisionV2Processor, text, templates.QWEN_VL)


_AUDIO: dict[str, Any] = {
    "num_mel_bins": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": HEADS,
    "encoder_ffn_dim": HIDDEN,
    "d_model": HIDDEN,
    "output_dim": HIDDEN,
    "max_source_positions": 32,
}
_HEARD = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}


def _omni(kind: type[ProcessorMixin], template: str) -> tuple[Any, ProcessorMixin]:
    text = qwen_text(template, **_HEARD)
    processor = kind(
        image_processor=qwen_pictures(),
        video_processor=None,
        feature_extractor=None,
        tokenizer=text,
        chat_template=template,
    )
    return text, processor


def _qwen2_5_omni() -> Made:
    text, processor = _omni(hf.Qwen2_5OmniProcessor, templates.QWEN_VL)
    ids = text.convert_tokens_to_ids
    config = hf.Qwen2_5OmniThinkerConfig(
        vision_config=tower(model_type="qwen2_5_omni_vision_encoder", **_WINDOWS),
        text_config=decoder(text, "qwen2_5_omni_text", rope_parameters=MROPE),
        audio_config=_AUDIO,
        image_token_index=ids("<|image_pad|>"),
        video_token_index=ids("<|video_pad|>"),
        audio_token_index=ids("<|audio_pad|>"),
        audio_start_token_id=ids("<|audio_start|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        audio_end_token_id=ids("<|audio_end|>"),
    )
    return config, processor


def _qwen3_omni() -> Made:
    text, processor = _omni(hf.Qwen3OmniMoeProcessor, templates.QWEN_VL)
    ids = text.convert_tokens_to_ids
    config = hf.Qwen3OmniMoeThinkerConfig(
        vision_config=tower(
            model_type="qwen3_omni_moe_vision_encoder", deepstack_visual_indexes=[0], **_LEARNED
        ),
        text_config=decoder(text, "qwen3_omni_moe_text", rope_parameters=_INTERLEAVED, **_MOE),
        audio_config={**_AUDIO, "downsample_hidden_size": 8},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        audio_token_id=ids("<|audio_pad|>"),
        audio_start_token_id=ids("<|audio_start|>"),
        vision_start_token_id=ids("<|vision_start|>"),
    )
    return config, processor


RECIPES = {
    "qwen3_vl_moe": Recipe(make=_qwen3_vl_moe, tools=True),
    "qwen3_5_moe": Recipe(make=_qwen3_5_moe, rewinds=False),
    "qwen4_exp": Recipe(make=_qwen4_exp, rewinds=False, since="5.22"),
    # The processors of older ones do nothing without their video part, which needs torchvision.
    "qwen2_5_omni_thinker": Recipe(make=_qwen2_5_omni, since="5.23"),
    "qwen3_omni_moe_thinker": Recipe(make=_qwen3_omni, since="5.23"),
    "cosmos3_omni": Recipe(make=_cosmos3_omni, tools=True),
    "exaone4_5": Recipe(make=_exaone4_5, rewinds=False),
    "hyperclovax_vision_v2": Recipe(make=_hyperclovax),
}
