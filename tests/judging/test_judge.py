import pickle
import threading
import time
from typing import Any

import pytest
import torch

from guardrail.errors import MessageError
from guardrail.judging.judge import (
    JudgeRequest,
    ask_judge,
    within_time,
)
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import question

REQUEST = JudgeRequest(question("May I?"), {"a": "Harm a?", "b": "Harm b?"})


def _ask(judge: Any, timeout_s: float = 60.0) -> Verdict:
    return ask_judge(judge, REQUEST, timeout_s=timeout_s, source="callable")


def test_a_callable_may_give_one_probability_or_one_per_category() -> None:
    assert _ask(lambda request: 0.25).categories == {"a": 0.25, "b": 0.25}
    assert _ask(lambda request: {"a": 1, "b": 0.5}).categories == {"a": 1.0, "b": 0.5}
    given = Verdict(categories={"a": 0.1}, source="mine")
    assert _ask(lambda request: given) == given
    loose: Any = {"a": 1, "b": "0.5"}
    assert _ask(lambda request: Verdict(loose)).categories == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize(
    "answer",
    [
        "safe",
        "no",
        b"0.1",
        None,
        True,
        object(),
        {"a": "safe"},
        torch.zeros(2),
        Verdict({"a": "high"}),  # type: ignore[dict-item]
        Verdict({"a": None}),  # type: ignore[dict-item]
        Verdict({"a": torch.zeros(2)}),  # type: ignore[dict-item]
        Verdict(None),  # type: ignore[arg-type]
        Verdict({"a": 0.1}, error=ValueError("the secret prompt")),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_no_probability_is_unavailable(answer: object) -> None:
    verdict = _ask(lambda request: answer)
    assert verdict.error is not None
    assert verdict.p_unsafe is None


def test_a_judges_own_words_are_in_no_record(caplog: pytest.LogCaptureFixture) -> None:
    assert _ask(lambda request: {"a": 0.2, "the secret prompt": 0.9}).categories == {"a": 0.2}
    given = Verdict(categories={"b": 0.3, "the secret prompt": 0.9}, source="mine")
    assert _ask(lambda request: given) == Verdict(categories={"b": 0.3}, source="mine")
    assert "secret" not in str(_ask(lambda request: "the secret prompt").error)
    assert "secret" not in caplog.text


def test_a_judge_that_raises_is_unavailable_and_its_words_are_not_recorded() -> None:
    def judge(request: JudgeRequest) -> float:
        raise RuntimeError("the secret prompt")

    verdict = _ask(judge)
    assert verdict.error == "the judge failed: RuntimeError"


def test_a_judge_that_stalls_is_unavailable() -> None:
    release = threading.Event()

    def judge(request: JudgeRequest) -> float:
        release.wait(30)
        return 0.0

    started = time.perf_counter()
    verdict = _ask(judge, timeout_s=0.05)
    release.set()
    assert verdict.error == "the judge took longer than 0.05 s"
    assert time.perf_counter() - started < 20


def test_a_judge_that_cannot_be_interrupted_is_held_to_its_time_afterwards() -> None:
    verdicts = [Verdict(categories={"a": 0.0})]
    late = within_time(verdicts, took_s=3.0, timeout_s=2)
    assert late[0].error is not None
    assert late[0].categories == {}
    assert within_time(verdicts, took_s=0.1, timeout_s=60) == verdicts


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "'a' may not be read: check the file's owner",
            "… may not be read: check the file's owner",
        ),
        ("the file's \"it's\" and b'c' are [1, 'd']", "the file's … and … are [1, …]"),
        (f"{chr(39) + chr(34)!r} is no name", "… is no name"),
        ("nothing is quoted", "nothing is quoted"),
    ],
)
def test_an_errors_reason_quotes_nothing(message: str, reason: str) -> None:
    assert MessageError(message).reason == reason
    assert MessageError(message, reason="r").reason == "r"
    assert pickle.loads(pickle.dumps(MessageError(message, reason="r"))).reason == "r"


def test_words_that_a_foreign_judge_puts_into_our_errors_stay_out_of_the_record() -> None:
    def judge(_: JudgeRequest) -> float:
        raise MessageError("the request's own words")

    verdict = _ask(judge)
    assert verdict.error == "the judge failed: MessageError"
