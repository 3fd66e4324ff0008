"""Mistral's line: Pixtral's tower, whose pictures keep their shape and end their rows."""

from typing import Any

import transformers as hf
from transformers import PreTrainedTokenizerFast

from . import templates
from .parts import CHATML, Made
from .recipe import HIDDEN, Recipe, decoder, vision
from .text import tokenizer

_NAMED = {
    "image_token": "[IMG]",
    "image_break_token": "[IMG_BREAK]",
    "image_end_token": "[IMG_END]",
}


def _tower() -> dict[str, Any]:
    return vision("pixtral", image_size=32, patch_size=4)


def _pictures(patch: int) -> Any:
    return hf.PixtralImageProcessorPil(size={"longest_edge": 16}, patch_size=patch)


def _text() -> PreTrainedTokenizerFast:
    specials = (
        "<unk>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[AVAILABLE_TOOLS]",
        "[/AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "[TOOL_CALLS]",
        "<pad>",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
        *_NAMED.values(),
    )
    return tokenizer(
        specials,
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        named=_NAMED,
        template=templates.MISTRAL_PICTURES,
    )


def _pixtral(text: PreTrainedTokenizerFast) -> hf.PixtralProcessor:
    return hf.PixtralProcessor(
        image_processor=_pictures(8),
        tokenizer=text,
        patch_size=4,
        spatial_merge_size=2,
        chat_template=templates.MISTRAL_PICTURES,
    )


def _mistral3() -> Made:
    text = _text()
    config = hf.Mistral3Config(
        vision_config=_tower(),
        text_config=decoder(text, "mistral", sliding_window=None),
        image_token_index=text.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return config, _pixtral(text)


def _mistral_large4() -> Made:
    text = _text()
    config = hf.MistralLarge4Config(
        vision_config=_tower(),
        text_config=decoder(
            text,
            "mistral_large4_text",
            num_key_value_heads=4,
            moe_intermediate_size=HIDDEN,
            n_routed_experts=4,
            num_experts_per_tok=2,
            kv_lora_rank=16,
            qk_rope_head_dim=8,
            qk_nope_head_dim=8,
            v_head_dim=8,
            index_topk=1024,
            index_head_dim=16,
            index_n_heads=2,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        ),
        image_token_index=text.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return config, _pixtral(text)


def _lighton_ocr() -> Made:
    named = {
        "image_token": "<|image_pad|>",
        "image_break_token": "<|vision_pad|>",
        "image_end_token": "<|vision_end|>",
    }
    template = templates.chatml("{{ '<|image_pad|>' }}")
    text = tokenizer(
        (*CHATML, *named.values()),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named=named,
        template=template,
    )
    processor = hf.LightOnOcrProcessor(
        image_processor=_pictures(8),
        tokenizer=text,
        patch_size=4,
        spatial_merge_size=2,
        chat_template=template,
    )
    config = hf.LightOnOcrConfig(
        vision_config=_tower(),
        text_config=decoder(text, "qwen3"),
        image_token_id=text.convert_tokens_to_ids("<|image_pad|>"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return config, processor


RECIPES = {
    "mistral3": Recipe(make=_mistral3, tools=True, needs=("torchvision",)),
    "mistral_large4": Recipe(
        make=_mistral_large4, tools=True, rewinds=False, needs=("torchvision",)
    ),
    "lighton_ocr": Recipe(make=_lighton_ocr),
}
