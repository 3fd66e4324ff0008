"""Several turns, several pictures, tools: whatever a conversation is, the contract holds."""

from dataclasses import replace

import pytest

from guardrail.errors import MessageError, ModelError
from guardrail.request.conversation import Conversation, Turn
from tests.contract.guarded import (
    GREEDY,
    SEVERAL_PICTURES,
    TEMPLATED,
    TEXT_ONLY,
    ask,
    by_word,
    engine,
    generated,
    judged_engine,
    shown,
)
from tests.families import FAMILIES, RECIPES

ONE_PICTURE = [family for family in FAMILIES if RECIPES[family].most_pictures == 1]


def dialogue(family: str) -> Conversation:
    """Three turns and a system message; a second picture in the last turn where it may be."""
    second = (shown(1, (24, 40)),) if family in SEVERAL_PICTURES else ()
    return Conversation(
        (
            Turn("system", ("You are careful.",)),
            Turn("user", (shown(0), "What is in this image?")),
            Turn("assistant", ("A red box, I think.",)),
            Turn("user", (*second, "Is it heavy? Can I lift it?")),
        )
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_dialogue_is_answered_as_generate_answers_it(family: str) -> None:
    guarded = engine(family)
    expected = generated(family, dialogue(family), GREEDY)
    shadow = guarded.answer(dialogue(family), GREEDY, mode="shadow")
    assert list(shadow.token_ids) == expected
    assert shadow.decision.errors == []
    assert shadow.decision.contrast.applied
    assert shadow.decision.steps[0].divergence


@pytest.mark.parametrize("family", FAMILIES)
def test_dialogue_s_words_reach_the_model_in_their_order(family: str) -> None:
    encoder = engine(family).backend.encoder
    ids = encoder.encode([dialogue(family)])["input_ids"][0]
    text = encoder.tokenizer.decode(ids)
    places = [text.index(part) for turn in dialogue(family).turns for part in [turn.text]]
    assert places == sorted(places)


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_every_picture_counts(family: str) -> None:
    guarded = engine(family)
    both = guarded.answer(ask(family, count=2), GREEDY).decision
    swapped = Conversation((Turn("user", (shown(0), shown(5), *ask(family).turns[0].parts[1:])),))
    other = guarded.answer(swapped, GREEDY).decision
    assert both.contrast.applied
    assert both.steps[0].refusal_mass_before != other.steps[0].refusal_mass_before


@pytest.mark.parametrize("family", ONE_PICTURE)
def test_a_picture_too_many_is_one_clear_error(family: str) -> None:
    parts = (shown(0), shown(1), "Compare them.")
    with pytest.raises(MessageError, match="one picture"):
        engine(family).answer(Conversation((Turn("user", parts),)), GREEDY)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in TEXT_ONLY])
def test_no_picture_is_answered_or_one_clear_error(family: str) -> None:
    alone = Conversation((Turn("user", ("Hello there, how are you?",)),))
    if engine(family).backend.adapter.needs_picture:
        with pytest.raises(MessageError, match="at least one picture"):
            engine(family).answer(alone, GREEDY)
    else:
        assert engine(family).answer(alone, GREEDY, mode="shadow").token_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_tools_are_shown_to_the_model_or_refused(family: str) -> None:
    weather = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
    asked = replace(ask(family), tools=({"type": "function", "function": weather},))
    if RECIPES[family].tools:
        prompt = engine(family).backend.encoder.render(asked)
        assert '"name": "weather"' in prompt
        assert engine(family).answer(asked, GREEDY).token_ids
    else:
        with pytest.raises(ModelError, match="chat template"):
            engine(family).answer(asked, GREEDY)


@pytest.mark.parametrize("family", TEMPLATED)
def test_tool_results_are_judged_and_answered(family: str) -> None:
    """Templates that know tool turns take them; others get one clear error, nothing is dropped."""
    talk = Conversation(
        (
            Turn("user", (shown(0), "How hot is it there?")),
            Turn("assistant", (), ({"name": "weather", "arguments": {"place": "there"}},)),
            Turn("tool", ("41 degrees in the shade",)),
        ),
    )
    guarded = judged_engine(family, by_word(shade=0.9))
    try:
        ids = guarded.backend.encoder.encode([talk])["input_ids"][0]
    except MessageError:
        return
    assert "41 degrees in the shade" in guarded.backend.encoder.tokenizer.decode(ids)
    decision = guarded.answer(talk, GREEDY).decision
    assert decision.action == "refuse"
    assert engine(family).answer(talk, GREEDY, mode="shadow").token_ids == tuple(
        generated(family, talk, GREEDY)
    )
