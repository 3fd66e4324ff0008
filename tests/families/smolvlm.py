"""SmolVLM and its kin."""

import transformers as hf

from . import templates
from .parts import Made, NoVideos
from .recipe import Recipe, decoder, vision
from .text import tokenizer


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
    processor = hf.SmolVLMProcessor(
        image_processor=hf.SmolVLMImageProcessorPil(
            size={"longest_edge": 32}, max_image_size={"longest_edge": 16}
        ),
        tokenizer=text,
        video_processor=NoVideos(),
        image_seq_len=4,
        chat_template=templates.SMOLVLM,
    )
    config = hf.SmolVLMConfig(
        vision_config=vision("smolvlm_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return config, processor


RECIPES = {
    "smolvlm": Recipe(make=_smolvlm),
}
