"""What is streamed is what is answered; stop strings, limits and cancellation end it at once."""

import threading
from contextlib import closing
from itertools import pairwise

import pytest

from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import (
    GREEDY,
    LONGER,
    SAMPLED,
    ask,
    by_word,
    engine,
    generated,
    judged_engine,
    policy,
)
from tests.families import FAMILIES

LONG = GenerationSettings(max_new_tokens=24, temperature=1.0, seed=3)


def streamed(
    family: str, conversation: Conversation, settings: GenerationSettings
) -> tuple[list[str], Answer]:
    *deltas, answer = engine(family).stream(conversation, settings)
    assert all(isinstance(each, Delta) and each.text for each in deltas)
    assert isinstance(answer, Answer)
    return [each.text for each in deltas if isinstance(each, Delta)], answer


@pytest.mark.parametrize(
    "settings", [pytest.param(GREEDY, id="greedy"), pytest.param(LONG, id="sampled")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_streamed_text_equals_answered_text(family: str, settings: GenerationSettings) -> None:
    conversation = ask(family, "Was ist das? 这是什么? 🐈‍⬛")
    pieces, last = streamed(family, conversation, settings)
    answer = engine(family).answer(conversation, settings)
    assert "".join(pieces) == last.text == answer.text
    assert last.token_ids == answer.token_ids
    assert len(answer.token_ids) == answer.usage.output_tokens
    assert answer.text == engine(family).backend.encoder.decode(answer.token_ids)
    ended = "stop" if len(answer.token_ids) < (settings.max_new_tokens or 0) else "length"
    assert answer.decision.outcome.finish_reason == ended


@pytest.mark.parametrize("family", FAMILIES)
def test_stop_string_ends_the_answer_and_is_no_part_of_it(family: str) -> None:
    conversation = ask(family)
    whole = engine(family).answer(conversation, LONG, mode="off").text
    # Two neighbouring characters from different tokens, if the model says such at all.
    stop = next(
        a + b for a, b in pairwise(whole[3:]) if "\ufffd" not in a + b and (a + b).isprintable()
    )
    settings = GenerationSettings(max_new_tokens=24, temperature=1.0, seed=3, stop=(stop, "\ufffe"))
    answer = engine(family).answer(conversation, settings, mode="off")
    assert answer.text == whole[: whole.index(stop)]
    assert list(answer.token_ids) == generated(family, conversation, settings)
    assert answer.decision.outcome.finish_reason == "stop"
    pieces, last = streamed(family, conversation, settings)
    assert "".join(pieces) == last.text
    assert stop not in last.text


def test_blocked_answer_is_streamed_as_its_words() -> None:
    blocking = policy({"verdict": {"on_unsafe": "block"}})
    guarded = judged_engine("llava", by_word(image=0.9), blocking)
    delta, answer = guarded.stream(ask("llava"), GREEDY)
    assert isinstance(delta, Delta)
    assert isinstance(answer, Answer)
    assert delta.text == answer.text
    assert answer.token_ids == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_cancelled_request_stops_at_the_next_token(family: str) -> None:
    conversation, cancel = ask(family), threading.Event()
    settings = GenerationSettings(max_new_tokens=24, temperature=1.0, seed=3)
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            cancel.set()

    guarded = engine(family)
    whole = guarded.answer(conversation, settings, mode="off")
    head = guarded.model.get_output_embeddings() or guarded.model  # Nemotron H names none
    handle = head.register_forward_hook(count)
    try:
        answer = guarded.answer(conversation, settings, mode="off", cancel=cancel)
    finally:
        handle.remove()
    assert steps == 3
    assert answer.decision.outcome.finish_reason == "cancelled"
    assert answer.token_ids == whole.token_ids[:3]
    assert whole.text.startswith(answer.text.rstrip("\ufffd"))


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_request_cancelled_before_it_began_runs_no_model(mode: str) -> None:
    guarded, cancel = engine("llava"), threading.Event()
    cancel.set()
    forwards: list[object] = []
    handle = guarded.model.register_forward_pre_hook(lambda *given: forwards.append(given))
    try:
        answer = guarded.answer(ask("llava"), GREEDY, mode=mode, cancel=cancel)  # type: ignore[arg-type]
    finally:
        handle.remove()
    assert answer.decision.outcome.finish_reason == "cancelled"
    assert answer.token_ids == ()
    assert not forwards


@pytest.mark.parametrize("family", ["llava", "qwen3_5", "blip-2"])
def test_closed_iterator_runs_the_model_no_further(family: str) -> None:
    guarded = engine(family)
    forwards: list[object] = []
    handle = guarded.model.get_output_embeddings().register_forward_hook(
        lambda *given: forwards.append(given)
    )
    try:
        with closing(guarded.stream(ask(family, LONGER), SAMPLED)) as stream:
            next(stream)
            seen = len(forwards)
        assert len(forwards) == seen
    finally:
        handle.remove()
    # The engine is as good as new.
    assert guarded.answer(ask(family), GREEDY, mode="off").token_ids == tuple(
        generated(family, ask(family), GREEDY)
    )
