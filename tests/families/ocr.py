"""Readers of documents: GOT-OCR 2 and its kin."""

from typing import Any

import transformers as hf

from . import templates
from .parts import Made, chatml_text
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square

_TOWER: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "output_channels": HIDDEN // 2,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "image_size": 64,
    "patch_size": 8,
    "window_size": 4,
    "global_attn_indexes": [1],
    "mlp_dim": HIDDEN,
}


def _got_ocr2() -> Made:
    text = chatml_text("<img>", "</img>", image="<imgpad>")
    text.chat_template = None
    processor = hf.GotOcr2Processor(
        image_processor=hf.GotOcr2ImageProcessorPil(size=square(64)),
        tokenizer=text,
    )
    processor.num_image_tokens = 4
    config = hf.GotOcr2Config(
        vision_config=_TOWER,
        text_config=decoder(text, "qwen2"),
        image_token_index=text.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=4,
    )
    return config, processor


def _pp_chart2table() -> Made:
    template = templates.chatml("{{ '<img>' + '<imgpad>' * 4 + '</img>\\n' }}")
    text = chatml_text("<img>", "</img>", image="<imgpad>", template=template)
    processor = hf.PPChart2TableProcessor(
        image_processor=hf.PPChart2TableImageProcessorPil(size=square(64)),
        tokenizer=text,
        chat_template=template,
    )
    config = hf.PPChart2TableConfig(
        vision_config=_TOWER,
        text_config=decoder(text, "qwen2"),
        image_token_index=text.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    return config, processor


RECIPES = {
    "pp_chart2table": Recipe(make=_pp_chart2table, text_only=False),
    "got_ocr2": Recipe(
        make=_got_ocr2,
        prompt=lambda words, pictures: (
            "<|im_start|>system\nYou should follow the instructions carefully.<|im_end|>"
            "<|im_start|>user\n"
            + "<img><imgpad></img>\n" * pictures
            + f"{words}<|im_end|><|im_start|>assistant\n"
        ),
        most_pictures=1,
        text_only=False,
        asks={"num_image_tokens": 4},
        since="5.23",  # older processors write 256 image tokens, whatever the model's size
    ),
}
