"""HunYuan: pictures whose rows end in a token of their own."""

import transformers as hf

from . import templates
from .parts import Made, NoVideos
from .recipe import HIDDEN, Recipe, decoder, needed_by, vision
from .text import tokenizer


def _hunyuan() -> Made:
    named = {
        "image_token": "<|hy_image|>",
        "image_start_token": "<|hy_image_start|>",
        "image_end_token": "<|hy_image_end|>",
    }
    text = tokenizer(
        (
            "<|hy_pad|>",
            "<|hy_begin|>",
            "<|hy_User|>",
            "<|hy_Assistant|>",
            "<|hy_system|>",
            "<|hy_newline|>",
            *named.values(),
        ),
        bos="<|hy_begin|>",
        eos="<|hy_Assistant|>",
        pad="<|hy_pad|>",
        named=named,
        template=templates.HUNYUAN,
    )
    processor = hf.HunYuanVLProcessor(
        image_processor=hf.HunYuanVLImageProcessorPil(
            patch_size=4,
            merge_size=2,
            size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32},
        ),
        tokenizer=text,
        chat_template=templates.HUNYUAN,
    )
    ids = text.convert_tokens_to_ids
    config = hf.HunYuanVLConfig(
        vision_config=vision(
            "hunyuan_vl_vision",
            image_size=32,
            patch_size=4,
            out_hidden_size=HIDDEN,
            max_image_size=32,
            min_image_size=16,
            img_max_token_num=64,
        ),
        text_config=decoder(
            text,
            "hunyuan_vl_text",
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 1, 1],
            },
        ),
        image_token_id=ids("<|hy_image|>"),
        im_start_id=ids("<|hy_image_start|>"),
        im_end_id=ids("<|hy_image_end|>"),
        im_newline_id=ids("<|hy_newline|>"),
    )
    return config, processor


def _hy4() -> Made:
    named = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    text = tokenizer(
        (
            "<|hy_pad|>",
            "<|hy_begin|>",
            "<|hy_User|>",
            "<|hy_Assistant|>",
            "<|hy_system|>",
            "<|hy_image_start|>",
            "<|hy_image_end|>",
            *named.values(),
        ),
        bos="<|hy_begin|>",
        eos="<|hy_Assistant|>",
        pad="<|hy_pad|>",
        named=named,
        template=templates.HY4,
    )
    processor = hf.HYV4VLProcessor(
        image_processor=hf.HYV4VLImageProcessorPil(
            patch_size=4,
            merge_size=2,
            size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32},
        ),
        tokenizer=text,
        video_processor=NoVideos(),
        chat_template=templates.HY4,
    )
    ids = text.convert_tokens_to_ids
    config = hf.HYV4VLConfig(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "out_hidden_size": HIDDEN,
            "patch_size": 4,
            "max_image_size": 32,
        },
        text_config=decoder(
            text,
            "hy_v4_vl_text",
            moe_intermediate_size=HIDDEN,
            n_routed_experts=4,
            num_experts_per_tok=2,
            q_lora_rank=16,
            kv_lora_rank=16,
            qk_nope_head_dim=8,
            qk_rope_head_dim=8,
            v_head_dim=8,
            index_topk=1024,
            index_head_dim=16,
            index_n_heads=2,
            hc_mult=2,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
            },
        ),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
    )
    return config, processor


RECIPES = {
    "hy_v4_vl": Recipe(make=_hy4, rewinds=False, needs=needed_by("HYV4VLImageProcessorPil")),
    "hunyuan_vl": Recipe(
        make=_hunyuan, padded_batches=False, needs=needed_by("HunYuanVLImageProcessorPil")
    ),
}
