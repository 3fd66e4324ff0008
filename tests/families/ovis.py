"""Ovis 2: pictures as probabilities over a visual vocabulary."""

import transformers as hf

from .parts import Made, chatml_text
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square


def _ovis2() -> Made:
    indicators = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    text = chatml_text("<IMG_ATOM>", *indicators, image="<image>")
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


RECIPES = {
    "ovis2": Recipe(make=_ovis2),
}
