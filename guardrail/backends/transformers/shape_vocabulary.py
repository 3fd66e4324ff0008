"""A tokenizer and refusal phrases of any size, made up on the spot: a bench needs no files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from guardrail.policy import load_policy

QUESTION = (
    "What is in this picture, and is it safe to do what it shows, at home, with children near?"
)
"""What a bench asks."""


_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "le", "mo", "nu", "qui", "ri", "sta", "ver")
_ADVERBS = [
    "",
    " really",
    " truly",
    " simply",
    " sadly",
    " honestly",
    " absolutely",
    " currently",
    " now",
    " ever",
]
_OPENINGS = (
    "I{} can't",
    "I{} cannot",
    "I'm{} not able to",
    "I am{} unable to",
    "I won't{}",
    "Sorry, but I{} can't",
    "We{} cannot",
    "Unfortunately, I{} can't",
)
_VERBS = [
    "help with",
    "assist with",
    "support",
    "discuss",
    "explain",
    "describe",
    "answer",
    "do",
    "provide",
    "write",
    "show",
    "plan",
    "recommend",
    "give",
    "make",
    "share",
    "continue",
    "offer",
    "allow",
    "advise on",
]
_OBJECTS = [
    "that",
    "this",
    "such a thing",
    "this request",
    "it here",
    "what you ask",
    "anything like it",
]
_TEMPLATE_WORDS = ("USER ASSISTANT user assistant system Yes No yes no", QUESTION)
_COMMON, _RARE = -10.0, -25.0  # log-probabilities: whole words win over their bytes
_ALPHABET = [*range(33, 127), *range(161, 173), *range(174, 256)]


def refusal_phrases(count: int) -> tuple[str, ...]:
    """Returns `count` different openings of refusals, at most about 11,000."""
    made = (
        f"{opening.format(adverb)} {verb} {what}"
        for opening, verb, what, adverb in product(_OPENINGS, _VERBS, _OBJECTS, _ADVERBS)
    )
    return tuple(islice(dict.fromkeys(made), count))


def make_tokenizer(size: int, *, controls: tuple[str, ...], eos: str, pad: str) -> Any:
    """Returns a byte-level tokenizer with `size` tokens, whose common words are one token each.

    Args:
        size: Tokens in all, a few hundred or more.
        controls: Control tokens, the first ids.
        eos: One of `controls`.
        pad: One of `controls`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    stand_ins = _stand_ins()
    scores = dict.fromkeys(controls, 0.0) | dict.fromkeys(stand_ins.values(), _RARE)
    for word in _words():
        if len(scores) >= size:
            break
        scores.setdefault("".join(stand_ins[byte] for byte in word.encode()), _COMMON)
    backend = Tokenizer(models.Unigram(list(scores.items()), unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=eos, pad_token=pad, padding_side="left"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(controls)})
    return tokenizer


def _words() -> Iterator[str]:
    """Yields words, with and without a leading space: those of use here, then invented ones."""
    policy = load_policy("baseline")
    asked = [category.question for category in policy.categories]
    texts = (*asked, policy.judge.answer_suffix, *policy.phrases, *refusal_phrases(10_000))
    known = re.findall(r"\w+", " ".join((*texts, *_TEMPLATE_WORDS)))
    for word in dict.fromkeys(known):
        yield word
        yield f" {word}"
    draw = random.Random(0)
    while True:
        yield " " + "".join(draw.choices(_SYLLABLES, k=draw.choice((1, 2, 3, 4, 5))))


def _stand_ins() -> dict[int, str]:
    """Maps bytes to the printable stand-ins of byte-level tokenizers (GPT-2)."""
    printable = {byte: chr(byte) for byte in _ALPHABET}
    others = (byte for byte in range(256) if byte not in printable)
    return printable | {byte: chr(256 + at) for at, byte in enumerate(others)}
