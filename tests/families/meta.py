"""Meta's line beside Llama 3.2 Vision: Chameleon, whose pictures are tokens of its vocabulary."""

import transformers as hf

from . import templates
from .parts import LLAMA, Made
from .recipe import Recipe, decoder, square
from .text import tokenizer


def _chameleon() -> Made:
    text = tokenizer(
        (
            *LLAMA,
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
    text.chat_template = None
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


RECIPES = {
    "chameleon": Recipe(
        make=_chameleon,
        prompt=lambda words, pictures: "<image>" * pictures + words,
        prefix="apart",
    ),
}
