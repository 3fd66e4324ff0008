"""Models built to a named shape, with random weights: their words are noise, their cost is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.labels import Labels
from guardrail.backends.transformers.shape_vocabulary import make_tokenizer
from guardrail.errors import SettingsError

_FIRST_LABEL, _LABELS = 300, 256

_LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
_QWEN_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """A named shape.

    Attributes:
        build: Returns configuration and processor.
        words: What it is like, for people.
        picture_side: Pixels of a square picture that is shown as it is.
        dtype: As it is usually run.
    """

    build: Callable[[], tuple[Any, Any]]
    words: str
    picture_side: int
    dtype: torch.dtype = torch.float32


class RandomBackend(TransformersBackend):
    """Random weights never mean yes or no: other tokens stand for them."""

    def labels(self) -> Labels:
        """Returns some hundred arbitrary tokens each, which together hold enough to be read."""
        middle = _FIRST_LABEL + _LABELS
        return Labels(tuple(range(_FIRST_LABEL, middle)), tuple(range(middle, middle + _LABELS)))


def build_shape(
    name: str, *, device: str = "cpu", dtype: torch.dtype | None = None, seed: int = 0
) -> tuple[Any, Any]:
    """Returns (model in eval mode with random weights, processor).

    Args:
        name: One of `SHAPES`.
        device: Where the weights are made.
        dtype: The shape's own if None.
        seed: Of the weights.

    Raises:
        SettingsError: There is no such shape.
    """
    from transformers import AutoModelForImageTextToText

    if name not in SHAPES:
        raise SettingsError(f"shape is {name!r}, expected one of {', '.join(SHAPES)}")
    shape = SHAPES[name]
    config, processor = shape.build()
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype or shape.dtype)
    # Random weights may say the end token at any time; here every answer has its full length.
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model.eval(), processor


def _llava(
    *, side: int, patch: int, vision: dict[str, Any], text: dict[str, Any], vocabulary: int
) -> tuple[Any, Any]:
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaProcessor

    tokenizer = make_tokenizer(
        vocabulary, controls=("<unk>", "<s>", "</s>", "<pad>", "<image>"), eos="</s>", pad="<pad>"
    )
    square = {"height": side, "width": side}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_LLAVA_TEMPLATE,
    )
    config = LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model",
            "image_size": side,
            "patch_size": patch,
            **vision,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 3,
            **text,
        },
        tie_word_embeddings=True,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(side // patch) ** 2,
    )
    return config, processor


def _tiny() -> tuple[Any, Any]:
    width = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    return _llava(
        side=32,
        patch=8,
        vision={**width, "num_attention_heads": 4},
        text={**width, "num_attention_heads": 4, "num_key_value_heads": 2},
        vocabulary=2000,
    )


def _llava_250m() -> tuple[Any, Any]:
    return _llava(
        side=384,
        patch=32,
        vision={
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        },
        text={
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
        },
        vocabulary=49152,
    )


def _qwen2_5_vl_7b() -> tuple[Any, Any]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil

    class PicturesOnly(Qwen2_5_VLProcessor):
        """The processor without its video half, which would need torchvision."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    controls = (
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
    )
    tokenizer = make_tokenizer(100_000, controls=controls, eos="<|im_end|>", pad="<|endoftext|>")
    processor = PicturesOnly(
        image_processor=Qwen2VLImageProcessorPil(),
        tokenizer=tokenizer,
        video_processor=None,
        chat_template=_QWEN_TEMPLATE,
    )
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 3584,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
        text_config={
            "model_type": "qwen2_5_vl_text",
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1_000_000.0,
                "mrope_section": [16, 24, 24],
            },
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    return config, processor


SHAPES = {
    "llava-250m": Shape(
        _llava_250m, "CLIP-B/32-like tower, 144 image tokens, SmolLM2-135M-like decoder", 384
    ),
    "qwen2.5-vl-7b": Shape(_qwen2_5_vl_7b, "Qwen2.5-VL-7B, for a GPU", 448, torch.bfloat16),
    "tiny": Shape(_tiny, "two layers of width 32, for tests", 32),
}
