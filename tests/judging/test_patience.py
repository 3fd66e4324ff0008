"""A judge that hangs costs a bounded number of threads, and is not waited for again and again."""

import threading
import time

import pytest

from guardrail.errors import JudgeError
from guardrail.judging import patience as module
from guardrail.judging.patience import FAILURES, MOST_LEFT, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def answered(patience: Patience[float], p: float = 0.5) -> float:
    return patience.ask(lambda: p, timeout_s=10, name="test")


def hang(patience: Patience[float], release: threading.Event, timeout_s: float = 0.01) -> None:
    def judge() -> float:
        release.wait(60)
        return 0.0

    with pytest.raises(JudgeError, match="longer than"):
        patience.ask(judge, timeout_s=timeout_s, name="test")


def test_a_judge_that_answers_is_asked_as_often_as_one_likes() -> None:
    patience: Patience[float] = Patience()
    assert [answered(patience) for _ in range(50)] == [0.5] * 50


def test_a_judge_that_timed_out_in_a_row_is_left_alone_and_tried_again() -> None:
    clock, release = Clock(), threading.Event()
    patience: Patience[float] = Patience(clock=clock)
    for _ in range(FAILURES):
        hang(patience, release)
    started = time.perf_counter()
    with pytest.raises(JudgeError, match=f"too long {FAILURES} times in a row"):
        answered(patience)
    assert time.perf_counter() - started < 5
    clock.now += module.REST_S + 0.1
    assert answered(patience) == 0.5  # one trial, and it is well again
    assert answered(patience) == 0.5
    release.set()


def test_a_trial_that_fails_makes_the_rest_longer() -> None:
    clock, release = Clock(), threading.Event()
    patience: Patience[float] = Patience(clock=clock)
    for _ in range(FAILURES):
        hang(patience, release)
    clock.now += module.REST_S + 0.1
    hang(patience, release)
    clock.now += module.REST_S + 0.1
    with pytest.raises(JudgeError, match="asked again in"):
        answered(patience)
    clock.now += module.REST_S
    assert answered(patience) == 0.5
    release.set()


def test_only_so_many_calls_are_left_running_and_the_judge_recovers_when_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FAILURES", 10_000)
    release = threading.Event()
    patience: Patience[float] = Patience()
    before = threading.active_count()
    for _ in range(MOST_LEFT):
        hang(patience, release)
    for _ in range(20):
        with pytest.raises(JudgeError, match="still running past their time"):
            answered(patience)
    assert threading.active_count() <= before + MOST_LEFT
    release.set()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert answered(patience) == 0.5
            break
        except JudgeError:
            time.sleep(0.01)
    else:
        pytest.fail("the judge did not recover")


@pytest.mark.parametrize("error", [ValueError("x"), JudgeError("y")])
def test_what_a_judge_raises_is_raised(error: Exception) -> None:
    def judge() -> float:
        raise error

    with pytest.raises(type(error)):
        Patience[float]().ask(judge, timeout_s=10, name="test")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_judge_s_exit_is_not_the_caller_s(error: BaseException) -> None:
    def judge() -> float:
        raise error

    with pytest.raises(JudgeError, match=type(error).__name__):
        Patience[float]().ask(judge, timeout_s=10, name="test")
