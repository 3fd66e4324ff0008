"""Passes of several threads run as one, each to what it comes to by itself."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from guardrail.backends import Interrupted
from guardrail.backends.transformers import together as module
from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.run import TransformersRun
from guardrail.request.conversation import Conversation, question
from tests.contract.guarded import GREEDY, LONGER, shown
from tests.families import build

ASKED = [
    question("Is it hot?", [shown(0)]),
    question(LONGER, [shown(1, (40, 24))]),
    question("No picture of this one."),
]
STEPS = 4


@pytest.fixture
def backend() -> TransformersBackend:
    return TransformersBackend(*build("llava"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each pass has had."""
    rows: list[int] = []
    run = module.run_model

    def counted(model: Any, arguments: dict[str, Any]) -> Any:
        rows.append(len(arguments["input_ids"]))
        return run(model, arguments)

    monkeypatch.setattr(module, "run_model", counted)
    return rows


def begun(backend: TransformersBackend, asked: Conversation, stop: Any = None) -> TransformersRun:
    run = backend.start([asked], GREEDY, stop=stop)
    run.prefill(lambda _: nullcontext())
    run.begin([None], seed=None)
    return run


def step(run: TransformersRun) -> Tensor:
    """Takes the likeliest token; returns the logits after it."""
    run.take(run.choose(run.logits()[0]))
    run.advance(noised=False)
    return run.logits()[0]


@contextmanager
def waiting(backend: TransformersBackend, count: int) -> Iterator[None]:
    """Keeps the model busy until so many passes wait for it."""
    with backend.together.alone:
        yield
        deadline = time.monotonic() + 30
        while len(backend.together._waiting) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)


def stepped(backend: TransformersBackend, runs: list[TransformersRun]) -> list[Tensor]:
    """Has every run take a step in a thread of its own, all while the model is busy."""
    with ThreadPoolExecutor(len(runs)) as pool:
        with waiting(backend, len(runs)):
            found = [pool.submit(step, run) for run in runs]
        return [each.result(timeout=60) for each in found]


def test_steps_that_wait_together_are_one_pass_and_come_to_the_same(
    backend: TransformersBackend, ran: list[int]
) -> None:
    alone = [[step(run) for _ in range(STEPS)] for run in (begun(backend, e) for e in ASKED)]
    runs = [begun(backend, each) for each in ASKED]
    stepped(backend, runs)  # the first pass of its sort is run both ways
    ran.clear()
    found = [stepped(backend, runs) for _ in range(STEPS - 1)]
    assert ran == [len(ASKED)] * (STEPS - 1)
    for at, expected in enumerate(alone):
        for number, logits in enumerate(expected[1:]):
            torch.testing.assert_close(found[number][at], logits, atol=1e-4, rtol=0)


def test_a_run_leaves_and_another_joins(backend: TransformersBackend, ran: list[int]) -> None:
    alone = [[step(run) for _ in range(STEPS)] for run in (begun(backend, e) for e in ASKED)]
    first, second, third = (begun(backend, each) for each in ASKED)
    stepped(backend, [first, second])
    found = [stepped(backend, [second, third])]
    found.append(stepped(backend, [third, second]))
    for (at, number), logits in zip([(1, 1), (2, 0)], found[0], strict=True):
        torch.testing.assert_close(logits, alone[at][number], atol=1e-4, rtol=0)
    for (at, number), logits in zip([(2, 1), (1, 2)], found[1], strict=True):
        torch.testing.assert_close(logits, alone[at][number], atol=1e-4, rtol=0)
    torch.testing.assert_close(step(first), alone[0][1], atol=1e-4, rtol=0)


def test_where_joined_passes_say_something_else_none_are_joined(
    backend: TransformersBackend, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [[step(run) for _ in range(2)] for run in (begun(backend, e) for e in ASKED)]
    join = module.joined_arguments

    def unmasked(passes: Any) -> Any:
        arguments, paddings = join(passes)
        return {**arguments, "attention_mask": None}, paddings

    monkeypatch.setattr(module, "joined_arguments", unmasked)
    runs = [begun(backend, each) for each in ASKED]
    found = [stepped(backend, runs), stepped(backend, runs)]
    assert False in backend.together._agree.values()
    for at, expected in enumerate(alone):
        for number, logits in enumerate(expected):
            torch.testing.assert_close(found[number][at], logits, atol=1e-4, rtol=0)
    ran.clear()
    stepped(backend, runs)
    assert ran == [1] * len(ASKED)


def test_a_joined_pass_that_fails_is_run_one_by_one(
    backend: TransformersBackend, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [begun(backend, each) for each in ASKED]
    run = module.run_model

    def failing(model: Any, arguments: dict[str, Any]) -> Any:
        if len(arguments["input_ids"]) > 1:
            raise torch.OutOfMemoryError
        return run(model, arguments)

    expected = [step(begun(backend, each)) for each in ASKED]
    monkeypatch.setattr(module, "run_model", failing)
    for logits, other in zip(stepped(backend, runs), expected, strict=True):
        torch.testing.assert_close(logits, other, atol=1e-4, rtol=0)


def test_a_model_that_keeps_something_on_its_modules_is_not_joined(ran: list[int]) -> None:
    backend = TransformersBackend(*build("qwen2_5_vl"))
    runs = [begun(backend, each) for each in ASKED]
    assert backend._self_check.keeps_state
    with ThreadPoolExecutor(len(runs)) as pool:
        ran.clear()
        list(pool.map(step, runs))
    assert ran == [1] * len(ASKED)


def test_only_those_that_want_it_have_a_noised_branch(backend: TransformersBackend) -> None:
    run = backend.start(ASKED[:2], GREEDY)
    run.prefill(lambda _: nullcontext())
    both = backend.start(ASKED[:2], GREEDY)
    both.prefill(lambda _: nullcontext())
    both.contrast_with("noise", noise_std=0.2)
    run.contrast_with("noise", noise_std=0.2, rows=[1])
    expected, found = both.logits()[1], run.logits()[1]
    assert expected is not None
    assert found is not None
    torch.testing.assert_close(found[1], expected[1], atol=1e-4, rtol=0)
    run.begin([None, None], seed=None)
    both.begin([None, None], seed=None)
    for each in (run, both):
        each.take(each.choose(each.logits()[0]))
        each.advance(noised=True)
    for one, other in zip(run.logits(), both.logits(), strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one[1], other[1], atol=1e-4, rtol=0)


def test_a_run_goes_on_without_the_only_one_that_had_a_noised_branch(
    backend: TransformersBackend,
) -> None:
    run = backend.start(ASKED[:2], GREEDY)
    run.prefill(lambda _: nullcontext())
    run.contrast_with("noise", noise_std=0.2, rows=[0])
    run.keep([1])
    real, noised = run.logits()
    assert (len(real), noised) == (1, None)
    run.begin([None], seed=None)
    assert len(step(run)) == 1


def test_a_run_that_is_stopped_stops_by_itself(backend: TransformersBackend) -> None:
    stopped = threading.Event()
    first, second = (backend.start([e], GREEDY, stop=stopped.is_set) for e in ASKED[:2])
    other = backend.start([ASKED[2]], GREEDY)
    stopped.set()
    for run in (first, second):
        with pytest.raises(Interrupted):
            run.prefill(lambda _: nullcontext())
    other.prefill(lambda _: nullcontext())
    assert other.logits()[0].shape[0] == 1


def test_a_clock_stands_still_while_others_have_the_model(backend: TransformersBackend) -> None:
    run = begun(backend, ASKED[0])
    clock, before, began = run._caller.clock, run._caller.clock(), time.perf_counter()
    with ExitStack() as held, ThreadPoolExecutor(1) as pool:
        held.enter_context(backend.together.alone)
        found = pool.submit(step, run)
        time.sleep(0.3)
        held.close()
        found.result(timeout=60)
    assert time.perf_counter() - began > 0.3
    assert clock() - before < 0.3 + (time.perf_counter() - began - 0.3) / 2
