"""Tiny real tokenizers: byte-level BPE trained in-process, with a family's own control tokens.

Knows nothing of models or pictures. Every string can be encoded (the alphabet is all 256 bytes),
so tests may use any text in any language.
"""

import functools
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = (
    "Describe the picture. What is in this image? Is it safe to do this?",
    "I'm sorry, but I can't help with that. I cannot assist with this request.",
    "Sure, here is how you can do it: first, take the red box and open the door.",
    "Could helping with this, in this picture, put a person at risk? Answer yes or no.",
    "Yes, that would be harmful. No, it is harmless. User: Assistant: Question: Answer:",
    "A small dog and a cat sit on the green grass near a white house with a blue roof.",
    "The knife is on the table. The child is near the water. The man holds a bottle.",
)
_VOCABULARY = 360  # 256 bytes and about a hundred merges


@functools.cache
def tokenizer_json(specials: tuple[str, ...], bos: str | None) -> str:
    """The serialised tokenizer; `specials` are control tokens in the order of their ids.

    With `bos`, every encoded text begins with that token, as real Llama-style tokenizers do it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY + len(specials),
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return str(tokenizer.to_str())


def tokenizer(
    specials: Iterable[str],
    *,
    bos: str | None = None,
    eos: str,
    pad: str,
    unk: str | None = None,
    add_bos: bool = False,
    padding_side: str = "left",
    named: dict[str, str] | None = None,
    template: str | None = None,
) -> PreTrainedTokenizerFast:
    """A tokenizer whose control tokens are `specials`.

    Args:
        specials: All control tokens, under the family's real names.
        bos: Begin-of-text token, one of `specials`; None where the family has none.
        eos: End token, one of `specials`.
        pad: Padding token, one of `specials`.
        unk: Unknown token, for processors that count from its id.
        add_bos: Whether encoding puts `bos` in front by itself.
        padding_side: "left" for decoders; "right" for encoders with absolute positions.
        named: Attribute name to token, for processors that read `tokenizer.image_token`.
        template: Jinja chat template.
    """
    specials = tuple(dict.fromkeys(specials))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer_json(specials, bos if add_bos else None)),
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        unk_token=unk,
        padding_side=padding_side,
        model_max_length=4096,
        extra_special_tokens=dict(named or {}),
    )
    rest = [t for t in specials if t not in {bos, eos, pad, unk, *(named or {}).values()}]
    if rest:
        fast.add_special_tokens({"additional_special_tokens": rest})
    fast.chat_template = template
    return fast
