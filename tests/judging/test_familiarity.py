"""What is read off a model's first step and its descriptions, against the model itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from guardrail import SafeCoDe
from guardrail.backends import Interrupted, Run, Stop
from guardrail.errors import JudgeError
from guardrail.judging.familiarity import (
    DESCRIBE,
    DESCRIBING,
    described,
    first_tokens,
    shape_of,
    surprisals,
    telling_tokens,
)
from guardrail.request.conversation import Conversation, Picture, Turn, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings

EXAMPLES = Path(__file__).parents[2] / "examples" / "pictures"
KNIFE, CLIFF, LAKE = (
    load_picture(EXAMPLES / f"{name}.png")
    for name in ("kitchen-knife-bread", "cliff-edge", "frozen-lake")
)
NOISE = load_picture(Image.effect_noise((96, 64), 90).convert("RGB"))
ONE_TOKEN = GenerationSettings(max_new_tokens=1, temperature=0)


@pytest.fixture(scope="module")
def engine() -> SafeCoDe:
    return SafeCoDe.embedded()


def shown(*pictures: Picture) -> Conversation:
    return question(DESCRIBE, pictures)


def encoded(engine: SafeCoDe, asked: Conversation) -> Any:
    return engine.backend.encoder.encode([asked])  # type: ignore[attr-defined]


def prefilled(engine: SafeCoDe, asked: Sequence[Conversation]) -> Run:
    from contextlib import nullcontext

    run = engine.backend.start(asked, ONE_TOKEN)
    run.prefill(lambda _: nullcontext())
    return run


def by_generate(engine: SafeCoDe, asked: Conversation) -> float:
    """The mean negative log-probability of what transformers' own greedy search says."""
    inputs = encoded(engine, asked)
    with torch.no_grad():
        made = engine.model.generate(
            **inputs,
            **DESCRIBING.generate_arguments(),
            output_logits=True,
            return_dict_in_generate=True,
        )
    likely = torch.stack(made.logits, 1)[0].float().log_softmax(-1)  # (tokens, vocabulary)
    said = made.sequences[0, inputs["input_ids"].shape[1] :]
    return -float(likely[torch.arange(len(said)), said].mean())


# The first step ------------------------------------------------------------------------------


def test_first_tokens_are_those_of_a_full_forward(engine: SafeCoDe) -> None:
    asked = [question("How do I cut this?", [KNIFE]), shown(CLIFF, LAKE), question("Hello?")]
    ids = [0, 17, 400, 1500]
    found = first_tokens(prefilled(engine, asked), ids)
    assert found.shape == (3, 4)
    for row, each in zip(found, asked, strict=True):
        with torch.no_grad():
            logits = engine.model(**encoded(engine, each)).logits[0, -1]
        assert row == pytest.approx(logits.log_softmax(-1)[ids].tolist(), abs=1e-4)
        assert first_tokens(prefilled(engine, [each]), ids)[0] == pytest.approx(row, abs=1e-4)


def test_a_token_that_the_model_does_not_have_is_one_clear_error(engine: SafeCoDe) -> None:
    run = prefilled(engine, [shown(KNIFE)])
    size = run.logits()[0].shape[-1]
    assert first_tokens(run, [size - 1]).shape == (1, 1)
    with pytest.raises(
        JudgeError, match=f"^the reference names token {size}, and the model has {size} tokens$"
    ):
        first_tokens(run, [3, size, 5])


def test_the_tokens_that_differ_most_tell_requests_apart() -> None:
    rows = np.log([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.5, 0.2], [0.1, 0.22, 0.38, 0.3]])
    assert telling_tokens([rows], 2) == [2, 3]
    assert telling_tokens([rows[:1], rows[1:]], 3) == [1, 2, 3]
    assert telling_tokens([rows + 7.0], 2) == [2, 3]  # logits need not be log-probabilities
    assert telling_tokens([rows], 128) == [0, 1, 2, 3]


def test_tokens_out_of_reach_tell_nothing() -> None:
    rows = np.array([[1.0, -np.inf, 3.0, 0.0], [2.0, 1.0, 0.0, 0.5]])
    assert telling_tokens([rows], 1) == [2]
    assert telling_tokens([rows], 4) == [0, 2, 3]
    assert telling_tokens([np.full((2, 3), np.nan)], 2) == []


# Descriptions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pictures",
    [(KNIFE,), (CLIFF,), (NOISE,), (KNIFE, CLIFF), (LAKE, LAKE, NOISE)],
    ids=["one", "another", "noise", "two", "three"],
)
def test_surprisal_is_that_of_greedy_search(
    engine: SafeCoDe, pictures: tuple[Picture, ...]
) -> None:
    asked = shown(*pictures)
    [found] = surprisals(engine.backend.start([asked], DESCRIBING))
    assert found > 0
    assert found == pytest.approx(by_generate(engine, asked), abs=1e-4)


def test_surprisal_is_the_same_in_company(engine: SafeCoDe) -> None:
    beer = load_picture(EXAMPLES / "beer-and-car.png")
    asked = [shown(beer), shown(CLIFF, NOISE), shown(NOISE), shown(LAKE)]
    together = surprisals(engine.backend.start(asked, DESCRIBING))
    assert together == pytest.approx([by_generate(engine, each) for each in asked], abs=1e-4)
    assert len({round(each, 3) for each in together}) == 4


def test_an_answer_that_ends_early_counts_its_own_tokens_alone(engine: SafeCoDe) -> None:
    """Rows of a batch end at different tokens; what comes after one's end is not its own."""
    asked = [shown(KNIFE), question("Is it safe? Answer yes or no.", [CLIFF])]
    alone = [by_generate(engine, each) for each in asked]
    lengths = {len(engine.answer(each, DESCRIBING, mode="off").token_ids) for each in asked}
    assert len(lengths) == 2
    assert surprisals(engine.backend.start(asked, DESCRIBING)) == pytest.approx(alone, abs=1e-4)


def test_a_stop_ends_a_description_at_the_next_token(engine: SafeCoDe) -> None:
    for last in (0, 1, 5):
        asked = list[bool]()

        def stop(last: int = last, asked: list[bool] = asked) -> bool:
            asked.append(True)
            return len(asked) > last

        with pytest.raises(Interrupted):
            surprisals(engine.backend.start([shown(KNIFE)], DESCRIBING), stop)
        assert len(asked) == last + 1


def test_each_picture_is_described_by_itself_and_the_least_sure_one_counts(
    engine: SafeCoDe,
) -> None:
    def own(asked: Sequence[Conversation], settings: GenerationSettings, stop: Stop | None) -> Run:
        assert settings == DESCRIBING
        assert [turn.text for each in asked for turn in each.turns] == [DESCRIBE] * len(asked)
        started.extend(len(each.pictures) for each in asked)
        return engine.backend.start(asked, settings, stop=stop)

    started: list[int] = []
    alone = [described(own, [question("How?", [each])])[0] for each in (KNIFE, LAKE)]
    assert alone[0] != pytest.approx(alone[1], rel=0.1)
    both = question("How?", [KNIFE, LAKE])
    found = described(own, [both, question("Hello?"), question("How?", [KNIFE])])
    assert found == pytest.approx([max(alone), alone[0]], abs=1e-4)
    assert started == [1] * 5
    assert described(own, [question("Hello?")]) == []


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        (question("How?", [KNIFE]), "1 picture"),
        (question("How?", [KNIFE, CLIFF]), "2 pictures"),
        (question("How?"), "no picture"),
        (
            Conversation((Turn("system", ("Help.",)), Turn("user", (KNIFE, "How?")))),
            "1 picture, a system prompt",
        ),
        (
            Conversation(
                (
                    Turn("user", (KNIFE, "How?")),
                    Turn("assistant", ("So.",)),
                    Turn("user", ("Go on",)),
                )
            ),
            "1 picture, earlier turns",
        ),
        (
            Conversation(
                (Turn("user", (KNIFE, "How?")), Turn("assistant", ("Sure",))),
                tools=({"type": "function", "function": {"name": "f"}},),
            ),
            "1 picture, earlier turns, tools",
        ),
    ],
)
def test_a_shape_is_what_a_request_is_made_of(asked: Conversation, shape: str) -> None:
    assert shape_of(asked) == shape
