"""Guarded tiny models, conversations and references that the contract's tests share."""

import functools
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from guardrail import Policy, SafeCoDe
from guardrail.judging.judge import Judge, JudgeRequest
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings
from tests.families import FAMILIES, RECIPES, build, picture

WORDS = "What is in this image?"
LONGER = "Describe this, and say whether it is safe to try such a thing at home, with the children."
GREEDY = GenerationSettings(max_new_tokens=6, temperature=0)
SAMPLED = GenerationSettings(max_new_tokens=6, temperature=0.9, top_p=0.9, seed=11)

SEVERAL_PICTURES = tuple(name for name in FAMILIES if RECIPES[name].most_pictures > 1)
TEXT_ONLY = tuple(name for name in FAMILIES if RECIPES[name].text_only)
TEMPLATED = tuple(name for name in FAMILIES if RECIPES[name].prompt is None)
WHOLE = tuple(name for name in FAMILIES if RECIPES[name].prefix == "whole")
"""Families whose prompt cannot be run in parts."""
APART = tuple(name for name in FAMILIES if RECIPES[name].prefix != "shared")
"""Families in which the judge needs a prompt of its own; the others share the answer's prefix."""

_KINDS = {
    *("llava", "qwen2_5_vl", "gemma3", "mllama", "blip-2", "blip-2-t5", "git", "paligemma"),
    *("lfm2_vl", "nemotron_h_omni", "fuyu", "unlimited_ocr"),
}
BY_KIND = [
    name if name in _KINDS else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES
]
"""All families; of each kind of prompt and cache one, or a few, outside the slow tests."""

_PHRASES = ("I'm sorry", "I can't help with that", "I cannot", "Sorry", "No")


def policy(changes: Mapping[str, Mapping[str, Any]] | None = None, **top: Any) -> Policy:
    """A small policy that always contrasts; `changes` are merged into its sections."""
    sections: dict[str, Any] = {
        "version": 1,
        "name": "contract",
        "judge": {"kind": "self"},
        "verdict": {},
        "categories": [
            {"id": "injury", "question": "Could this hurt someone in the picture?"},
            {"id": "fire", "question": "Could this set the house on fire, or the garden?"},
        ],
        "contrast": {"when": "always", "guided_steps": 3},
        "modulation": {"boost": 4.0, "suppress": 4.0, "ensure_refusal": False},
        "refusals": {"en": {"phrases": list(_PHRASES)}},
        **top,
    }
    for name, values in (changes or {}).items():
        sections[name] = {**sections[name], **values}
    return Policy.model_validate(sections)


@functools.cache
def engine(family: str) -> SafeCoDe:
    """The family's tiny model, guarded by the small policy; shared, and not to be changed."""
    model, processor = build(family)
    return SafeCoDe(model=model, processor=processor, policy=policy())


def judged_engine(family: str, judge: Judge, policy: Policy | None = None) -> SafeCoDe:
    """The same model with a judge of the test's own."""
    shared = engine(family)
    return SafeCoDe(backend=shared.backend, policy=policy or shared.policy, judge=judge)


def by_word(**probabilities: float) -> Judge:
    """A judge that goes by the first of `probabilities` whose name the request holds; else 0.5."""

    def judge(request: JudgeRequest) -> float:
        text = " ".join(turn.text for turn in request.conversation.turns)
        return next((p for word, p in probabilities.items() if word in text), 0.5)

    return judge


def shown(seed: int, size: tuple[int, int] = (32, 24)) -> Picture:
    """A picture as a conversation holds it."""
    return Picture(picture(seed, size), f"{seed}-{size}")


def ask(
    family: str, words: str = WORDS, *, count: int | None = None, first: int = 0
) -> Conversation:
    """One question about `count` pictures (one by default), as far as the family takes them."""
    most = RECIPES[family].most_pictures
    least = 0 if RECIPES[family].text_only else 1
    count = min(max(1 if count is None else count, least), most)
    return question(words, [shown(first + at) for at in range(count)])


def generated(family: str, conversation: Conversation, settings: GenerationSettings) -> list[int]:
    """What the model's own `generate()` says, as token ids without the prompt."""
    made = engine(family)
    inputs = made.backend.encoder.encode([conversation])
    if settings.seed is not None:
        torch.manual_seed(settings.seed)
    arguments: dict[str, Any] = settings.generate_arguments()
    if settings.stop:
        arguments.update(stop_strings=list(settings.stop), tokenizer=made.backend.encoder.tokenizer)
    ids = made.model.generate(**inputs, **arguments)[0]
    prompt = inputs["input_ids"][0]
    # BLIP-2 and InstructBLIP give back the answer alone.
    return ids[len(prompt) :].tolist() if torch.equal(ids[: len(prompt)], prompt) else ids.tolist()
