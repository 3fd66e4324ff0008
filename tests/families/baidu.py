"""Baidu's line: ERNIE 4.5, PaddleOCR, Qianfan-OCR and PP-Chart2Table."""

import transformers as hf

from . import templates
from .parts import CHATML, Made, NoVideos
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer

_MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_SIZE = {"shortest_edge": 16 * 16, "longest_edge": 32 * 32}


def _ernie() -> Made:
    named = {
        "image_token": "<|IMAGE_PLACEHOLDER|>",
        "image_start_token": "<|IMAGE_START|>",
        "image_end_token": "<|IMAGE_END|>",
        "video_token": "<|VIDEO_PLACEHOLDER|>",
        "video_start_token": "<|VIDEO_START|>",
        "video_end_token": "<|VIDEO_END|>",
    }
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<|begin_of_sentence|>", "<|end_of_sentence|>", *named.values()),
        bos="<|begin_of_sentence|>",
        eos="</s>",
        pad="<unk>",
        named=named,
        template=templates.ERNIE,
    )
    processor = hf.Ernie4_5_VLMoeProcessor(
        image_processor=hf.Ernie4_5_VLMoeImageProcessorPil(
            patch_size=4, merge_size=2, temporal_patch_size=1, size=_SIZE
        ),
        tokenizer=text,
        video_processor=NoVideos(),
        chat_template=templates.ERNIE,
    )
    ids = text.convert_tokens_to_ids
    config = hf.Ernie4_5_VLMoeConfig(
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "num_heads": HEADS,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_merge_size": 2,
            "intermediate_size": 2 * HIDDEN,
        },
        text_config=decoder(
            text,
            "ernie4_5_vl_moe_text",
            rope_parameters=_MROPE,
            moe_intermediate_size=[HIDDEN, HIDDEN],
            moe_num_experts=4,
            moe_num_shared_experts=1,
            moe_k=2,
            mlp_layer_types=["dense", "sparse"],
        ),
        image_token_id=ids("<|IMAGE_PLACEHOLDER|>"),
        image_start_token_id=ids("<|IMAGE_START|>"),
        image_end_token_id=ids("<|IMAGE_END|>"),
        video_token_id=ids("<|VIDEO_PLACEHOLDER|>"),
        video_start_token_id=ids("<|VIDEO_START|>"),
        video_end_token_id=ids("<|VIDEO_END|>"),
    )
    return config, processor


def _paddleocr() -> Made:
    named = {"image_token": "<|IMAGE_PLACEHOLDER|>"}
    text = tokenizer(
        (
            "<unk>",
            "<s>",
            "</s>",
            "<|begin_of_sentence|>",
            "<|end_of_sentence|>",
            "<|IMAGE_START|>",
            "<|IMAGE_END|>",
            "<|VIDEO_PLACEHOLDER|>",
            *named.values(),
        ),
        bos="<|begin_of_sentence|>",
        eos="</s>",
        pad="<unk>",
        named=named,
        template=templates.ERNIE,
    )
    processor = hf.PaddleOCRVLProcessor(
        image_processor=hf.PaddleOCRVLImageProcessorPil(
            patch_size=4, merge_size=2, temporal_patch_size=1, size=_SIZE
        ),
        tokenizer=text,
        chat_template=templates.ERNIE,
    )
    ids = text.convert_tokens_to_ids
    config = hf.PaddleOCRVLConfig(
        vision_config=vision(
            "paddleocr_vl_vision", image_size=32, patch_size=4, spatial_merge_size=2
        ),
        text_config=decoder(text, "paddleocr_vl_text", rope_parameters=_MROPE),
        image_token_id=ids("<|IMAGE_PLACEHOLDER|>"),
        video_token_id=ids("<|VIDEO_PLACEHOLDER|>"),
        vision_start_token_id=ids("<|IMAGE_START|>"),
        vision_end_token_id=ids("<|IMAGE_END|>"),
    )
    return config, processor


def _qianfan() -> Made:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
    }
    template = templates.chatml("{{ '<image>\\n' }}")
    text = tokenizer(
        (*CHATML, "<image>", *named.values()),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named=named,
        template=template,
    )
    processor = hf.QianfanOCRProcessor(
        image_processor=hf.GotOcr2ImageProcessorPil(
            size=square(16), crop_to_patches=True, min_patches=1, max_patches=2
        ),
        tokenizer=text,
        image_seq_length=4,
        chat_template=template,
    )
    config = hf.QianfanOCRConfig(
        vision_config=vision("qianfan_ocr_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "qwen3"),
        image_token_id=text.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return config, processor


RECIPES = {
    "ernie4_5_vl_moe": Recipe(make=_ernie),
    "paddleocr_vl": Recipe(make=_paddleocr),
    "qianfan_ocr": Recipe(make=_qianfan),
}
