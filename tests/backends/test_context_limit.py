"""What is longer than a model's context is refused before anything runs, in every way in."""

import threading
import time
from typing import Any

import pytest
import torch

from guardrail import ChatSafeCoDe, Guard, SafeCoDe
from guardrail.backends import Interrupted
from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.context_limit import check_length, context_length
from guardrail.backends.transformers.interruption import interruptible
from guardrail.errors import MessageError
from guardrail.judging.judges import QuestionJudge
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings
from tests.families import FAMILIES, build, picture

FOUR = GenerationSettings(max_new_tokens=4, do_sample=False)
SHOWN = Picture(picture(1), "digest")
LONG = question("word " * 1200, [SHOWN])
BOTH = r"the prompt has \d,\d{3} tokens, more than the 2,048 that this model's context takes"


def engine(**options: Any) -> SafeCoDe:
    model, processor = build("llava")
    return SafeCoDe(model=model, processor=processor, **options)


@pytest.fixture
def forwards() -> Any:
    model, _ = build("llava")
    seen: list[object] = []
    handle = model.register_forward_pre_hook(lambda *given: seen.append(given))
    yield seen
    handle.remove()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_context_is_read_off_every_configuration(family: str) -> None:
    model, _ = build(family)
    length = context_length(model.config)
    assert length is None or length >= 256


def test_a_length_is_checked_where_it_is_known() -> None:
    check_length(2048, 2048)
    check_length(10**9, None)
    with pytest.raises(MessageError, match=r"has 2,049 tokens, more than the 2,048"):
        check_length(2049, 2048)


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_an_engine_refuses_it(mode: Any, forwards: list[object]) -> None:
    with pytest.raises(MessageError, match=BOTH):
        engine(judge=lambda request: 0.0).answer(LONG, FOUR, mode=mode)
    assert forwards == []


def test_a_batch_refuses_it_and_answers_the_others(forwards: list[object]) -> None:
    short = question("Hi", [SHOWN])
    with pytest.raises(MessageError, match=BOTH):
        engine().batch([LONG, LONG], FOUR)
    assert forwards == []
    answer, refused = engine().batch([short, LONG], FOUR, return_exceptions=True)
    assert answer.text == engine().answer(short, FOUR).text
    assert isinstance(refused, MessageError)


def test_the_chat_model_refuses_it(forwards: list[object]) -> None:
    with pytest.raises(MessageError, match=BOTH):
        ChatSafeCoDe(engine=engine(), max_tokens=4).invoke("word " * 1200)
    assert forwards == []


def test_a_decision_about_it_is_unavailable_and_blocks(forwards: list[object]) -> None:
    decision = engine().decide(LONG).decision
    assert (decision.verdict.label, decision.action) == ("unavailable", "block")
    assert forwards == []


def test_a_second_model_does_not_judge_it() -> None:
    judge = QuestionJudge(TransformersBackend(*build("llava")))
    decision = Guard(judge=judge).decide(LONG).decision
    assert (decision.verdict.label, decision.action) == ("unavailable", "block")


def of_length(made: SafeCoDe, tokens: int) -> Conversation:
    """A request of so many tokens, or a few less."""
    text = ""
    for step in (" one", " a", "a"):
        while True:
            asked = question(text + step, [SHOWN])
            try:
                [length] = made.backend.start([asked], FOUR).input_tokens
            except MessageError:
                break
            if length > tokens:
                break
            text += step * max(1, (tokens - length) // 8)
    return question(text, [SHOWN])


def test_a_question_that_goes_beyond_the_context_is_not_put() -> None:
    made = engine()
    decision = made.answer(of_length(made, 2044), FOUR).decision
    assert decision.verdict.label == "unavailable"
    assert "the judge's question" in str(decision.verdict.error)
    assert decision.action == "block"


def test_an_answer_ends_where_the_context_does() -> None:
    made = engine(judge=lambda request: 0.4)  # what is to refuse would end in the policy's words
    asked = of_length(made, 2039)
    [tokens] = made.backend.start([asked], FOUR).input_tokens
    settings = GenerationSettings(max_new_tokens=99, do_sample=False, extra={"min_new_tokens": 99})
    answer = made.answer(asked, settings)
    assert len(answer.token_ids) == 2048 - tokens
    assert answer.decision.outcome.finish_reason == "length"


def test_a_pass_is_left_at_the_next_layer() -> None:
    model, processor = build("llava")
    backend = TransformersBackend(model, processor)
    backend.start([question("Hi", [SHOWN])], FOUR)  # once per model, it is checked first
    layers: list[int] = []
    handles = [
        layer.register_forward_pre_hook(lambda *_, at=at: layers.append(at))
        for at, layer in enumerate(model.get_decoder().layers)
    ]
    stop = threading.Event()
    run = backend.start([question("Hi", [SHOWN])], FOUR, stop=stop.is_set)
    model.get_decoder().layers[0].register_forward_pre_hook(lambda *_: stop.set())
    try:
        with pytest.raises(Interrupted):
            run.prefill(lambda name: torch.no_grad())
    finally:
        for handle in handles:
            handle.remove()
        model.get_decoder().layers[0]._forward_pre_hooks.clear()
    assert layers == [0]
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_what_is_never_stopped_has_no_hooks() -> None:
    model, _ = build("llava")
    with interruptible(model, None):
        assert not any(module._forward_pre_hooks for module in model.modules())
    with interruptible(model, lambda: False):
        assert any(module._forward_pre_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_a_request_that_is_cancelled_while_its_prompt_runs_computes_no_further(mode: Any) -> None:
    made, cancel = engine(), threading.Event()
    made.backend.start([question("Hi", [SHOWN])], FOUR)
    seen: list[int] = []

    def slow(*_: object) -> None:
        seen.append(1)
        cancel.set()

    handle = made.model.get_decoder().layers[0].register_forward_pre_hook(slow)
    started = time.perf_counter()
    try:
        answer = made.answer(question("Hi", [SHOWN]), FOUR, mode=mode, cancel=cancel)
    finally:
        handle.remove()
    assert answer.decision.outcome.finish_reason == "cancelled"
    assert answer.token_ids == ()
    assert seen == [1]
    assert time.perf_counter() - started < 60
