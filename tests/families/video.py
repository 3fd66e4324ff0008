"""Models for videos and pictures, of which pictures alone are shown here."""

import transformers as hf

from . import templates
from .parts import Made, llama_text
from .qwen import qwen_text
from .recipe import Recipe, decoder, square, vision


def _video_llama_3() -> Made:
    template = templates.chatml("{{ '<|image_pad|>\\n' }}")
    text = qwen_text(template)
    processor = hf.VideoLlama3Processor(
        image_processor=hf.VideoLlama3ImageProcessorPil(
            patch_size=4, size={"shortest_edge": 8 * 8, "longest_edge": 16 * 16}
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=template,
    )
    config = hf.VideoLlama3Config(
        vision_config=vision("video_llama_3_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "qwen2"),
        image_token_id=text.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=text.convert_tokens_to_ids("<|video_pad|>"),
    )
    return config, processor


def _video_llava() -> Made:
    text = llama_text(video_token="<video>")
    processor = hf.VideoLlavaProcessor(
        image_processor=hf.VideoLlavaImageProcessor(
            size={"shortest_edge": 16}, crop_size=square(16)
        ),
        video_processor=None,
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    config = hf.VideoLlavaConfig(
        vision_config=vision("clip_vision_model", image_size=16, patch_size=8),
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        video_token_index=text.convert_tokens_to_ids("<video>"),
        image_seq_length=4,
    )
    return config, processor


RECIPES = {
    "video_llama_3": Recipe(make=_video_llama_3),
    "video_llava": Recipe(make=_video_llava),
}
