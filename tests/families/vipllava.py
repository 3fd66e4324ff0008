"""LLaVA's next of kin: several layers of features, and videos that are not shown here."""

import transformers as hf

from . import templates
from .parts import TILES, Made, llama_text, llava_processor
from .recipe import Recipe, decoder, square, vision


def _vipllava() -> Made:
    text = llama_text()
    processor = llava_processor(text)
    config = hf.VipLlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    # Older and newer transformers name it differently; where both are one, this sets it twice.
    config.vision_feature_layers = config.vision_feature_layer = [-1, -2]
    return config, processor


def _llava_next_video() -> Made:
    text = llama_text(video_token="<video>")
    processor = hf.LlavaNextVideoProcessor(
        video_processor=None,
        image_processor=hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=square(16), image_grid_pinpoints=TILES
        ),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    config = hf.LlavaNextVideoConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        video_token_index=text.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=TILES,
    )
    return config, processor


RECIPES = {
    "vipllava": Recipe(make=_vipllava, seed=1),
    "llava_next_video": Recipe(make=_llava_next_video),
}
