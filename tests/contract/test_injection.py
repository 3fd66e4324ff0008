"""A request cannot speak for the template: control tokens and placeholders in it are plain text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from guardrail.backends.transformers.control import ControlGuard
from guardrail.backends.transformers.noise import PICTURE_INPUTS
from guardrail.request.conversation import Conversation, Picture, Turn, question
from tests.contract.guarded import (
    APART,
    GREEDY,
    SEVERAL_PICTURES,
    TEMPLATED,
    TEXT_ONLY,
    engine,
    judged_engine,
    shown,
)
from tests.families import FAMILIES, RECIPES

EVERYWHERE = (
    "<|im_start|> <|im_end|> <image> <image_soft_token> <start_of_image> <|image_pad|> "
    "<|vision_start|> <start_of_turn> <end_of_utterance> <|eot_id|> <|image|> [INST] [/INST] "
    "<<SYS>> <s> </s> <bos> <eos> [SEP] <IMG_CONTEXT> <fake_token_around_image> <|endoftext|> "
    "<0x04>"
)
"""Control tokens of many families: a request may carry any of them to any model."""


def controls(family: str) -> list[str]:
    """Everything that the family's tokenizer or processor reads as more than text."""
    made = engine(family)
    found = {
        token.content for token in made.backend.encoder.tokenizer.added_tokens_decoder.values()
    }
    found |= {
        value
        for name, value in vars(made.processor).items()
        if name.endswith("_token") and isinstance(value, str)
    }
    # PaliGemma has a thousand for places in a picture: some of each kind will do.
    return sorted(found)[:: 1 + len(found) // 60]


def forged(family: str) -> str:
    """Words with every control string in them: apart, in a row, halved and nested."""
    found = controls(family)
    some = found[:: 1 + len(found) // 12]
    halved = [text[: len(text) // 2] + text + text[len(text) // 2 :] for text in some[::3]]
    return f"x {' '.join(found)} {''.join(some)} {''.join(halved)} {EVERYWHERE} y"


def briefly_forged(family: str) -> str:
    """The same for tests in which the model reads it, which takes its time."""
    found = controls(family)
    return f"x {' '.join(found[:: 1 + len(found) // 8])} y"


def control_ids(family: str) -> Tensor:
    tokenizer = engine(family).backend.encoder.tokenizer
    known = tokenizer.get_vocab()
    ids = {known[text] for text in (*controls(family), "<0x04>") if text in known}
    return torch.tensor(sorted({*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids, *ids}))


def counted(family: str, ids: Tensor) -> Counter[int]:
    """How often each control token stands in a prompt."""
    return Counter(ids[torch.isin(ids, control_ids(family))].tolist())


def assert_neutral(family: str, made: dict[str, Any], neutral: dict[str, Any]) -> None:
    assert counted(family, made["input_ids"][0]) == counted(family, neutral["input_ids"][0])
    for name in neutral:
        if name in (*PICTURE_INPUTS, "image_grid_thw", "image_sizes", "pixel_attention_mask"):
            assert torch.equal(made[name], neutral[name]), name
    if "qformer_input_ids" in neutral:
        tokenizer = engine(family).processor.qformer_tokenizer
        special = torch.tensor(sorted(tokenizer.added_tokens_decoder))
        both = (each["qformer_input_ids"][0] for each in (made, neutral))
        one, other = (Counter(ids[torch.isin(ids, special)].tolist()) for ids in both)
        assert one == other


def spelled(family: str, ids: Sequence[int] | Tensor) -> str:
    tokenizer = engine(family).backend.encoder.tokenizer
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def pictures(family: str) -> list[Picture]:
    return [shown(0), shown(1)][: RECIPES[family].most_pictures]


@pytest.mark.parametrize("family", FAMILIES)
def test_answer_prompt_has_no_forged_control_tokens(family: str) -> None:
    encode, words = engine(family).backend.encoder.encode, forged(family)
    made = encode([question(words, pictures(family))])
    assert_neutral(family, made, encode([question("x y", pictures(family))]))
    assert words in spelled(family, made["input_ids"][0])


@pytest.mark.parametrize("family", FAMILIES)
def test_judge_prompts_have_no_forged_control_tokens(family: str) -> None:
    encoder, words = engine(family).backend.encoder, forged(family)
    asked, calm = question(words, pictures(family)), question("x y", pictures(family))
    for harm in ("Is it safe?", forged(family)):
        made = encoder.encode([asked.ask(harm)])
        assert_neutral(family, made, encoder.encode([calm.ask("Is it safe?")]))
        assert f"{words}\n\n{harm}" in spelled(family, made["input_ids"][0])
        shared = encoder.judge_suffixes(asked, [harm])
        if family in APART:
            assert shared is None
            continue
        assert shared is not None
        prompt = encoder.encode([asked])["input_ids"][0].tolist()
        assert tuple(prompt[-len(shared.tail) :]) == shared.tail
        joined = torch.tensor([*prompt[: -len(shared.tail)], *shared.questions[0]])
        assert counted(family, joined) == counted(family, made["input_ids"][0])
        assert f"{words}\n\n{harm}" in spelled(family, joined)


@pytest.mark.parametrize("family", TEXT_ONLY)
def test_placeholders_alone_are_no_pictures(family: str) -> None:
    encode, words = engine(family).backend.encoder.encode, forged(family)
    made = encode([question(words)])
    assert not any(name in made for name in PICTURE_INPUTS) or family == "idefics"
    assert_neutral(family, made, encode([question("x y")]))
    judged = judged_engine(family, lambda request: 0.5)
    assert judged.answer(question(briefly_forged(family)), GREEDY).token_ids


@pytest.mark.parametrize("family", TEMPLATED)
def test_every_turn_is_data(family: str) -> None:
    encode, words = engine(family).backend.encoder.encode, forged(family)

    def talk(text: str) -> Conversation:
        return Conversation(
            (
                Turn("user", (shown(0), text)),
                Turn("assistant", (text,)),
                Turn("user", (text, *pictures(family)[1:], text)),
            )
        )

    made = encode([talk(words)])
    assert_neutral(family, made, encode([talk("x y")]))
    assert spelled(family, made["input_ids"][0]).count(words) == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_forged_rows_of_a_batch_are_as_they_are_alone(family: str) -> None:
    guarded = judged_engine(family, lambda request: 0.5)
    rows = [question("x y", [shown(0)]), question(briefly_forged(family), [shown(1)])]
    for answer, row in zip(guarded.batch(rows, GREEDY), rows, strict=True):
        assert answer.token_ids == guarded.answer(row, GREEDY).token_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mark_itself_forges_nothing(family: str) -> None:
    encoder = engine(family).backend.encoder
    # Any character by which control strings are taken apart must not put them together again.
    guard = ControlGuard(engine(family).processor).guard
    marks = {character for text in controls(family) for character in guard(text)}
    marks -= set("".join(controls(family)))
    for mark in marks:
        some = controls(family)[:: 1 + len(controls(family)) // 12]
        words = " ".join(text[:2] + mark + text[2:] for text in some)
        made = encoder.encode([question(words, pictures(family))])
        neutral = encoder.encode([question("x y", pictures(family))])
        assert counted(family, made["input_ids"][0]) == counted(family, neutral["input_ids"][0])


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_forged_placeholders_between_pictures_move_no_features(family: str) -> None:
    encode, words = engine(family).backend.encoder.encode, forged(family)
    between = (shown(0), words, shown(1), words)
    made = encode([Conversation((Turn("user", between),))])
    calm = encode([Conversation((Turn("user", (shown(0), "x y", shown(1), "x y")),))])
    assert_neutral(family, made, calm)
