"""Trains the byte-level BPE tokenizer and assembles the processor with its chat template."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

from guardrail.embedded.training.trees import Node, scene_tree
from guardrail.embedded.training.wording import HARMFUL_REQUESTS, JUDGE_QUESTIONS, SMALL_TALK
from guardrail.embedded.training.world import activities, build_scene

VOCABULARY = 2048
SPECIAL = ("<pad>", "<|im_start|>", "<|im_end|>", "<image>")
ADDED = ("<tool_call>", "</tool_call>")
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def _texts(node: Node) -> Iterator[str]:
    yield node.text
    yield node.target
    for child in node.children:
        yield from _texts(child)


def corpus(seed: int, trees: int = 3000) -> Iterator[str]:
    """Yields training text for the tokenizer, control tokens removed."""
    rng = random.Random(f"tokenizer/{seed}")
    table = list(activities().values())
    for _ in range(trees):
        activity = rng.choice(table)
        scene = build_scene(activity, rng, harmful=rng.random() < 0.5)
        for text in _texts(scene_tree(scene, activity, rng)):
            for token in SPECIAL:
                text = text.replace(token, "\n")
            yield text
    for options in JUDGE_QUESTIONS.values():
        yield from options
    for said, reply in (*SMALL_TALK, *HARMFUL_REQUESTS):
        yield from (said, reply)


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Trains the tokenizer; any UTF-8 text encodes, and decodes to itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(ADDED),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<image>"],
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        padding_side="left",
    )
    fast.add_tokens(list(ADDED))
    return fast


def make_processor(tokenizer: PreTrainedTokenizerFast) -> Any:
    """The processor: pictures squashed to 224 x 224, one placeholder becoming 49."""
    half = [0.5, 0.5, 0.5]
    images = CLIPImageProcessorPil(
        do_resize=True,
        size={"height": 224, "width": 224},
        resample=3,
        do_center_crop=False,
        do_rescale=True,
        do_normalize=True,
        image_mean=half,
        image_std=half,
        do_convert_rgb=True,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=32,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE.read_text("utf-8"),
        image_token="<image>",
        num_additional_image_tokens=0,
    )
