"""Houses with one family each: Kimi, MiniMax, Step, Aria and Molmo."""

from typing import Any

import transformers as hf

from . import templates
from .parts import CHATML, Made
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer

_ROPE = {"rope_type": "default", "rope_theta": 10000.0}


def _kimi() -> Made:
    text = tokenizer(
        (
            "[PAD]",
            "[BOS]",
            "[EOS]",
            "<|im_end|>",
            "<|im_user|>",
            "<|im_assistant|>",
            "<|im_system|>",
            "<|im_tool|>",
            "<|im_middle|>",
            "<|media_begin|>",
            "<|media_content|>",
            "<|media_end|>",
            "<|media_pad|>",
            "<|kimi_k25_video_placeholder|>",
        ),
        bos="[BOS]",
        eos="<|im_end|>",
        pad="[PAD]",
        template=templates.KIMI,
    )
    processor = hf.Kimi_K25Processor(
        image_processor=hf.Kimi_K25ImageProcessor(
            patch_size=4, merge_size=2, max_patches=32, size={"max_height": 8, "max_width": 8}
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=templates.KIMI,
    )
    ids = text.convert_tokens_to_ids
    config = hf.Kimi_K25Config(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "patch_size": 4,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
        },
        text_config=decoder(
            text,
            "deepseek_v3",
            num_key_value_heads=HEADS,
            q_lora_rank=16,
            kv_lora_rank=16,
            qk_rope_head_dim=8,
            qk_nope_head_dim=8,
            v_head_dim=8,
            moe_intermediate_size=HIDDEN,
            n_routed_experts=4,
            num_experts_per_tok=2,
            n_group=1,
            topk_group=1,
            first_k_dense_replace=1,
        ),
        projection_hidden_size=HIDDEN,
        image_token_id=ids("<|media_pad|>"),
        video_token_id=ids("<|kimi_k25_video_placeholder|>"),
        vision_start_token_id=ids("<|media_begin|>"),
        vision_end_token_id=ids("<|media_end|>"),
        tie_word_embeddings=False,
    )
    return config, processor


def _minimax() -> Made:
    text = tokenizer(
        (
            "[PAD]",
            "]~!b[",
            "]~b]",
            "[e~[",
            "]<]image[>[",
            "]<]video[>[",
            "]<]start of image[>[",
            "]<]end of image[>[",
        ),
        bos="]~!b[",
        eos="[e~[",
        pad="[PAD]",
        template=templates.MINIMAX,
    )
    processor = hf.MiniMaxM3VLProcessor(
        image_processor=hf.MiniMaxM3VLImageProcessor(
            patch_size=4,
            merge_size=2,
            temporal_patch_size=2,
            size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32},
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=templates.MINIMAX,
    )
    ids = text.convert_tokens_to_ids
    config = hf.MiniMaxM3VLConfig(
        vision_config=vision("minimax_m3_vl_vision", image_size=32, patch_size=4),
        text_config=decoder(
            text,
            "minimax_m3_vl_text",
            dense_intermediate_size=2 * HIDDEN,
            shared_intermediate_size=HIDDEN,
            num_local_experts=4,
            num_experts_per_tok=2,
            rotary_dim=4,
            rope_parameters={**_ROPE, "partial_rotary_factor": 0.5},
            index_n_heads=2,
            index_head_dim=8,
            index_block_size=16,
            index_topk_blocks=64,
            layer_types=["minimax_m3_sparse", "full_attention"],
            mlp_layer_types=["dense", "sparse"],
        ),
        projector_hidden_size=HIDDEN,
        image_token_index=ids("]<]image[>["),
        video_token_index=ids("]<]video[>["),
    )
    return config, processor


def _step() -> Made:
    template = templates.chatml("{{ '<im_patch>' }}")
    text = tokenizer(
        (
            *CHATML,
            "<im_patch>",
            "<im_start>",
            "<im_end>",
            "<patch_start>",
            "<patch_end>",
            "<patch_newline>",
        ),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        template=template,
    )
    processor = hf.Step3p7Processor(
        image_processor=hf.Step3p7ImageProcessor(
            size=square(32), patch_size=16, max_image_size=64, vision_patch_size=4
        ),
        tokenizer=text,
        chat_template=template,
    )
    config = hf.Step3p7Config(
        vision_config=vision(
            "step3p5_vision",
            image_size=32,
            patch_size=4,
            mlp_ratio=2.0,
            max_position_embeddings=64,
        ),
        text_config=decoder(
            text,
            "step3p5",
            num_local_experts=4,
            n_routed_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=HIDDEN,
            share_expert_dim=HIDDEN,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            mlp_layer_types=["dense", "sparse"],
        ),
        image_token_id=text.convert_tokens_to_ids("<im_patch>"),
    )
    return config, processor


def _aria() -> Made:
    template = templates.chatml("{{ '<fim_prefix><|img|><fim_suffix>' }}")
    text = tokenizer(
        ("<unk>", *CHATML, "<fim_prefix>", "<|img|>", "<fim_suffix>"),
        eos="<|im_end|>",
        pad="<unk>",
        named={"image_token": "<|img|>"},
        template=template,
    )
    processor = hf.AriaProcessor(
        image_processor=hf.AriaImageProcessorPil(),
        tokenizer=text,
        chat_template=template,
        size_conversion={490: 4, 980: 8},
    )
    config = hf.AriaConfig(
        vision_config=vision("idefics3_vision", image_size=980, patch_size=70, hidden_size=16),
        text_config=decoder(
            text, "aria_text", moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1
        ),
        projector_patch_to_query_dict={49: 4, 196: 8},
        image_token_index=text.convert_tokens_to_ids("<|img|>"),
    )
    return config, processor


def _molmo2() -> Made:
    marks = (
        "<im_start>",
        "<im_end>",
        "<im_patch>",
        "<im_col>",
        "<low_res_im_start>",
        "<|image|>",
        "<im_low>",
        "<frame_start>",
        "<frame_end>",
        "<|video|>",
    )
    template = templates.chatml("{{ '<|image|>' }}")
    text = tokenizer(
        (*CHATML, *marks),
        bos="<|endoftext|>",
        eos="<|im_end|>",
        pad="<|endoftext|>",
        template=template,
    )
    processor = hf.Molmo2Processor(
        image_processor=hf.Molmo2ImageProcessor(
            size=square(16), patch_size=4, max_crops=2, overlap_margins=[0, 0]
        ),
        video_processor=None,
        tokenizer=text,
        chat_template=template,
    )
    ids = text.convert_tokens_to_ids
    heads: dict[str, Any] = {"num_key_value_heads": HEADS, "head_dim": HIDDEN // HEADS}
    config = hf.Molmo2Config(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "image_size": [16, 16],
            "patch_size": 4,
            **heads,
        },
        adapter_config={
            "vision_feature_layer": [-1, -2],
            "hidden_size": HIDDEN,
            "num_attention_heads": HEADS,
            "intermediate_size": 2 * HIDDEN,
            "text_hidden_size": HIDDEN,
            **heads,
        },
        text_config=decoder(text, "molmo2_text", additional_vocab_size=8),
        image_start_token_id=ids("<im_start>"),
        low_res_image_start_token_id=ids("<low_res_im_start>"),
        image_end_token_id=ids("<im_end>"),
        image_patch_id=ids("<im_patch>"),
        frame_start_token_id=ids("<frame_start>"),
        frame_end_token_id=ids("<frame_end>"),
    )
    return config, processor


RECIPES = {
    "kimi_k25": Recipe(make=_kimi, needs=("torchvision",)),
    "minimax_m3_vl": Recipe(
        make=_minimax, padded_batches=False, rewinds=False, needs=("torchvision",)
    ),
    "step3p7": Recipe(make=_step, rewinds=False, needs=("torchvision",)),
    "aria": Recipe(make=_aria),
    "molmo2": Recipe(make=_molmo2, needs=("torchvision",)),
}
