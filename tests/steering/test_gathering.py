"""Requests that come while another is started are started as one, and stay each its own."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest

from guardrail import SafeCoDe
from guardrail.errors import AuditError, MessageError
from guardrail.judging.judge import JudgeRequest
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.pipeline import Pipeline
from tests.contract.guarded import policy, shown
from tests.families import build

SETTINGS = GenerationSettings(max_new_tokens=12, temperature=0)
LONG = question("word " * 1200)


class World:
    """An engine, and the sizes of the runs that it has had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
        self.sizes: list[int] = []
        model, processor = build("llava")
        self.engine = SafeCoDe(model=model, processor=processor, policy=policy())
        run = Pipeline.run

        def counted(pipeline: Pipeline, drafts: Sequence[Any], *rest: Any) -> Any:
            self.sizes.append(len(drafts))
            return run(pipeline, drafts, *rest)

        monkeypatch.setattr(Pipeline, "run", counted)

    @contextmanager
    def busy(self, count: int) -> Iterator[Callable[..., Future[Any]]]:
        """Yields what asks in a thread of its own, while a first request is being started."""
        line = self.engine._gathering._line
        self.sizes.clear()
        with ThreadPoolExecutor(count + 1) as pool:
            with self.engine.backend.together.alone:  # nobody has the model meanwhile
                first = pool.submit(self.engine.answer, question("The first one."), SETTINGS)
                _until(lambda: len(self.sizes) == 1)
                yield pool.submit
                _until(lambda: len(line) == count)
            first.result(timeout=60)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def ask(number: int) -> Conversation:
    place = "kitchen" if number % 2 else "garden"
    return question(f"Number {number}: " + "is it safe, " * number + place, [shown(number)])


def told(answer: Answer) -> tuple[Any, ...]:
    decision = answer.decision
    return answer.text, answer.token_ids, decision.action, decision.outcome, decision.contrast


def test_those_that_wait_start_as_one_and_are_answered_as_alone(world: World) -> None:
    alone = [told(world.engine.answer(ask(number), SETTINGS)) for number in range(5)]
    assert len({str(each) for each in alone}) > 2
    with world.busy(5) as submit:
        found = [submit(world.engine.answer, ask(number), SETTINGS) for number in range(5)]
    assert [told(each.result(timeout=60)) for each in found] == alone
    assert world.sizes == [1, 5]


def test_other_settings_modes_and_policies_start_by_themselves(world: World) -> None:
    stricter = policy(name="stricter")
    other = GenerationSettings(max_new_tokens=3, temperature=0)
    with world.busy(5) as submit:
        found = [
            submit(world.engine.answer, ask(1), SETTINGS),
            submit(world.engine.answer, ask(1), other),
            submit(world.engine.answer, ask(1), SETTINGS, mode="off"),
            submit(world.engine.answer, ask(1), SETTINGS, policy=stricter),
            submit(world.engine.answer, ask(1), SETTINGS),
        ]
    answers = [each.result(timeout=60) for each in found]
    assert sorted(world.sizes) == [1, 1, 1, 1, 2]
    assert [each.decision.mode for each in answers] == ["enforce"] * 2 + ["off"] + ["enforce"] * 2
    assert answers[1].usage.output_tokens == 3
    assert answers[3].decision.policy.name == "stricter"


def test_one_that_cannot_be_served_fails_by_itself(world: World) -> None:
    alone = told(world.engine.answer(ask(2), SETTINGS))
    with world.busy(3) as submit:
        good, bad, other = (
            submit(world.engine.answer, each, SETTINGS) for each in (ask(2), LONG, ask(2))
        )
    with pytest.raises(MessageError, match="more than the"):
        bad.result(timeout=60)
    assert told(good.result(timeout=60)) == told(other.result(timeout=60)) == alone


def test_one_that_is_cancelled_in_the_line_waits_no_longer_and_is_on_record(world: World) -> None:
    cancel = threading.Event()
    with world.busy(1) as submit:
        gone = submit(world.engine.answer, ask(1), SETTINGS, cancel=cancel)
        kept = submit(world.engine.answer, ask(2), SETTINGS)
        cancel.set()
        answer = gone.result(timeout=30)  # while the first one is still being started
        assert answer.decision.outcome.finish_reason == "cancelled"
        assert answer.text == ""
    assert kept.result(timeout=60).decision.outcome.finish_reason == "length"


def test_beside_one_that_fails_and_one_that_is_cancelled_a_third_is_answered(world: World) -> None:
    alone = told(world.engine.answer(ask(2), SETTINGS))
    cancel = threading.Event()
    start = world.engine.backend.start

    def cancelling(*arguments: Any, **named: Any) -> Any:
        cancel.set()
        return start(*arguments, **named)

    with world.busy(3) as submit:
        _ = submit(world.engine.answer, LONG, SETTINGS)
        gone = submit(world.engine.answer, ask(4), SETTINGS, cancel=cancel)
        kept = submit(world.engine.answer, ask(2), SETTINGS)
        world.engine.backend.start = cancelling  # type: ignore[method-assign]
    assert told(kept.result(timeout=60)) == alone
    assert gone.result(timeout=60).decision.outcome.finish_reason == "cancelled"


class Observer:
    """Sees records; what it does with one that is opened is the test's."""

    def __init__(self, opened: Callable[[Any], object]) -> None:
        self._opened, self.ended = opened, list[Any]()

    def opened(self, decision: Any, conversation: Conversation) -> None:
        self._opened(conversation)

    def concluded(self, decision: Any, *_: Any) -> None:
        self.ended.append(decision.outcome)


def test_a_record_that_is_refused_is_one_requests_failure(world: World) -> None:
    def refuse(conversation: Conversation) -> None:
        if "Number 4" in conversation.turns[-1].text:
            raise AuditError("not this one")

    alone = told(world.engine.answer(ask(2), SETTINGS))
    with world.busy(3) as submit:
        world.engine.observer = Observer(refuse)
        found = [submit(world.engine.answer, ask(number), SETTINGS) for number in (2, 4, 2)]
    assert told(found[0].result(timeout=60)) == told(found[2].result(timeout=60)) == alone
    with pytest.raises(AuditError, match="not this one"):
        found[1].result(timeout=60)


def test_an_observer_may_ask_the_model_that_is_being_started(world: World) -> None:
    asked: list[str] = []

    def ask_again(conversation: Conversation) -> None:
        if "Number 2" in conversation.turns[-1].text:
            asked.append(world.engine.answer(question("And?"), SETTINGS, mode="off").text)

    world.engine.observer = Observer(ask_again)
    assert world.engine.answer(ask(2), SETTINGS).text
    assert len(asked) == 1


def test_who_is_judged_by_somebody_else_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a judge may ask the same model, and would wait for the request that waits for it."""
    world = World(monkeypatch)

    def judge(request: JudgeRequest) -> float:
        said = world.engine.answer(question("Is it safe?"), SETTINGS, mode="off").text
        return 0.05 if said else 1.0

    judged = SafeCoDe(backend=world.engine.backend, judge=judge, policy=policy())
    world.engine = judged
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(judged.answer, ask(number), SETTINGS) for number in range(4)]
        verdicts = [each.result(timeout=60).decision.verdict for each in found]
    assert [each.label for each in verdicts] == ["safe"] * 4


def test_a_reader_who_goes_ends_one_answer_and_no_other(world: World) -> None:
    world.engine.observer = observer = Observer(lambda _: None)
    long = GenerationSettings(max_new_tokens=60, temperature=0)
    alone = told(world.engine.answer(ask(2), long))

    def leaves() -> None:
        with closing(world.engine.stream(ask(4), long)) as events:
            assert isinstance(next(events), Delta)

    observer.ended.clear()
    with world.busy(2) as submit:
        gone, kept = submit(leaves), submit(world.engine.answer, ask(2), long)
    gone.result(timeout=60)
    assert told(kept.result(timeout=60)) == alone
    assert world.sizes[-1] == 2
    ended = sorted(each.finish_reason for each in observer.ended)
    assert ended == ["cancelled", "length", "length"]
    [short] = [each for each in observer.ended if each.finish_reason == "cancelled"]
    assert short.output_tokens < 60
