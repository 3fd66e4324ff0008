"""HunYuan: pictures whose rows end in a token of their own."""

import transformers as hf

from . import templates
from .parts import Made
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


RECIPES = {
    "hunyuan_vl": Recipe(
        make=_hunyuan, padded_batches=False, needs=needed_by("HunYuanVLImageProcessorPil")
    ),
}
