"""Parts that several families' processors share: tokenizers with a placeholder, picture sizes."""

from typing import Any

import transformers as hf
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, ProcessorMixin

from . import templates
from .recipe import square
from .text import tokenizer

LLAMA = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
COHERE = (
    "<PAD>",
    "<UNK>",
    "<BOS_TOKEN>",
    "<EOS_TOKEN>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
)
TILES = [[16, 32], [32, 16], [32, 32]]
"""Shapes that a tiled picture may take, (height, width) in pixels."""

Made = tuple[PreTrainedConfig, ProcessorMixin]


class NoVideos(dict[str, Any]):
    """Stands in for the video processor of a family that reads settings off it.

    A dictionary, so that it can be saved with its processor.
    """

    def __init__(self) -> None:
        super().__init__(num_frames=1, fps=1, font="", slice_mode=True, downsample_mode="16x")

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def clip_pictures() -> Any:
    """CLIP's image processor, 16 by 16 pixels."""
    return hf.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square(16))


def llava_processor(text: PreTrainedTokenizerFast) -> ProcessorMixin:
    """LLaVA's processor: CLIP's pictures, of which the class token is dropped."""
    processor: ProcessorMixin = hf.LlavaProcessor(
        image_processor=clip_pictures(),
        tokenizer=text,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.LLAVA,
    )
    return processor


def llama_text(template: str = templates.LLAVA, **named: str) -> PreTrainedTokenizerFast:
    """A tokenizer with Llama 2's control tokens and `<image>`; `named` are further ones."""
    return tokenizer(
        (*LLAMA, *named.values()),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        add_bos=True,
        named={"image_token": "<image>", **named},
        template=template,
    )


def chatml_text(
    *more: str, image: str, template: str | None = None, **named: str
) -> PreTrainedTokenizerFast:
    """A tokenizer that speaks ChatML.

    Args:
        more: Further control tokens.
        image: The picture's placeholder.
        template: The family's own; None for plain ChatML with the placeholder on a line of its own.
        named: Further control tokens that processors read as attributes.
    """
    return tokenizer(
        (*CHATML, image, *more, *named.values()),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        named={"image_token": image, **named},
        template=template or templates.chatml("{{ '" + image + "\\n' }}"),
    )
