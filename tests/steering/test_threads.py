"""Twenty threads on one engine: every answer is its single-threaded one, none lost or mixed up."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from guardrail import Policy, SafeCoDe
from guardrail.backends.transformers.prompt import PromptEncoder
from guardrail.judging.judge import JudgeRequest
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import policy, shown
from tests.families import build

FAMILIES = ("llava", "qwen2_5_vl", "idefics3")
"""A plain one, one whose `rope_deltas` live on the module, and one that cuts pictures in tiles."""

THREADS = 20
ROUNDS = 3
SETTINGS = GenerationSettings(max_new_tokens=8, temperature=0.8, seed=7)


def judge(request: JudgeRequest) -> float:
    """Fails, lets pass or warns, as the request's own words say."""
    text = request.conversation.turns[-1].text
    if "broken" in text:
        raise RuntimeError("out of order")
    return 0.95 if "kitchen" in text else 0.05


@functools.cache
def engine(family: str, judged: bool) -> SafeCoDe:
    model, processor = build(family)
    return SafeCoDe(
        model=model,
        processor=processor,
        policy=policy({"judge": {"timeout_s": 600.0}}),
        judge=judge if judged else None,
    )


@dataclass(frozen=True)
class Job:
    """What one thread asks, and how it goes about it."""

    number: int
    cancelled: bool
    judged: bool

    def conversation(self) -> Conversation:
        place = ("kitchen", "garden", "broken kitchen")[self.number % 3]
        pictures = [shown(self.number, (32 - self.number % 2 * 8, 24))] * (self.number % 4 != 3)
        return question(f"Number {self.number}: " + "is it safe, " * self.number + place, pictures)

    def run(self, family: str) -> dict[str, Any]:
        """Asks, and returns all that must be the same every time."""
        guarded = engine(family, self.judged)
        if self.cancelled:
            return self._cancelled(guarded)
        if self.number % 5 == 0:
            [answer] = guarded.batch([self.conversation()], SETTINGS)
        else:
            *deltas, answer = guarded.stream(self.conversation(), SETTINGS)
            assert "".join(d.text for d in deltas if isinstance(d, Delta)) == answer.text
        return told(answer)

    def _cancelled(self, guarded: SafeCoDe) -> dict[str, Any]:
        cancel = threading.Event()
        seen = []
        with closing(guarded.stream(self.conversation(), SETTINGS, cancel=cancel)) as events:
            for event in events:
                seen.append(event)
                if self.number % 2:
                    cancel.set()
                else:
                    break  # the reader goes away
        if self.number % 2:
            assert isinstance(seen[-1], Answer)
            return told(seen[-1])
        return {"first": getattr(seen[0], "text", None)}


def told(answer: Answer) -> dict[str, Any]:
    decision = answer.decision
    return {
        "text": answer.text,
        "tokens": answer.token_ids,
        "usage": answer.usage,
        "action": decision.action,
        "finish": decision.outcome.finish_reason,
        "error": decision.verdict.error,
        "contrast": decision.contrast.applied,
        "masses": [round(step.refusal_mass_after, 4) for step in decision.steps],
        "apart": [step.divergence and round(step.divergence, 4) for step in decision.steps],
    }


def together(work: list[Callable[[], Any]]) -> list[Any]:
    """Runs all of `work` at once, each in a thread of its own, begun at the same moment."""
    start = threading.Barrier(len(work))

    def begin(one: Callable[[], Any]) -> Any:
        start.wait(timeout=60)
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result(timeout=240) for future in [pool.submit(begin, one) for one in work]]


@pytest.mark.parametrize("family", FAMILIES)
def test_twenty_threads_answer_as_one_does(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
    jobs = [
        Job(number, cancelled=number % 6 == 5 or number % 6 == 2, judged=number % 3 != 1)
        for number in range(THREADS)
    ]
    expected = [job.run(family) for job in jobs]
    assert len({str(each) for each in expected}) > THREADS // 2
    assert {"blocked", "length"} <= {each.get("finish") for each in expected}
    for _ in range(ROUNDS):
        found = together([functools.partial(job.run, family) for job in jobs])
        for job, one, other in zip(jobs, found, expected, strict=True):
            assert one == other, job


def test_one_tokenizer_serves_encoding_and_decoding_at_once() -> None:
    """Fast tokenizers cannot be changed while they are read: padding is such a change."""
    guarded = engine("llava", True)
    encoder: PromptEncoder = guarded.backend.encoder
    short, long = question("Hi"), question("What is in this picture? " * 40)
    expected = encoder.encode([short, long])["input_ids"]
    ids = expected[1].tolist()
    text = encoder.decode(ids)

    def encode() -> None:
        for _ in range(25):
            assert encoder.encode([short, long])["input_ids"].equal(expected)

    def decode() -> None:
        for _ in range(200):
            assert encoder.decode(ids) == text

    def suffixes() -> None:
        first = encoder.judge_suffixes(long, ["Is it safe <image>?"])
        for _ in range(25):
            assert encoder.judge_suffixes(long, ["Is it safe <image>?"]) == first

    together([encode, decode, suffixes] * 4)


def test_policies_of_threads_stay_apart() -> None:
    """Each thread brings a policy with phrases of its own, and gets its own index."""
    guarded = engine("llava", True)
    policies: list[Policy] = [
        policy(refusals={"en": {"phrases": [f"{letter}{n}" for n in range(50)]}})
        for letter in "ABCDEFGHIJKLMNOPQRST"
    ]
    asked = question("The kitchen?", [shown(1)])
    alone = [told(guarded.answer(asked, SETTINGS, policy=each)) for each in policies]
    guarded._indexes.clear()
    work = [functools.partial(guarded.answer, asked, SETTINGS, policy=each) for each in policies]
    assert [told(answer) for answer in together(work)] == alone
