"""Sessions: what is kept of earlier requests, for how long, and what it does to later ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, HumanMessage

from guardrail import ChatSafeCoDe, Decision, SafeCoDe
from guardrail.errors import Escalation, SettingsError
from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy, load_policy
from guardrail.policy.memory import Recollection
from guardrail.policy.review import Review
from guardrail.request.conversation import question
from guardrail.request.sessions import MOST_REQUESTS, SessionMemory, SessionStore
from guardrail.request.settings import GenerationSettings
from guardrail.shared.connection import SharedRedis
from guardrail.shared.sessions import SharedSessions
from tests.families import build

TWO = GenerationSettings(max_new_tokens=2, do_sample=False)


def judge(request: JudgeRequest) -> float:
    """Goes by the last turn alone, so that only the memory knows of earlier ones."""
    text = request.conversation.turns[-1].text
    return 0.95 if "danger" in text else 0.5 if "unclear" in text else 0.02


def policy(verdict: dict[str, Any] | None = None, **session: Any) -> Policy:
    base = load_policy("baseline")
    changed: Policy = base.model_copy(
        update={
            "session": {"memory": "max", **session},
            "verdict": {**base.verdict.model_dump(), **(verdict or {})},
        }
    )
    return changed


def guarded(sessions: SessionStore | None = None, **options: Any) -> SafeCoDe:
    model, processor = build("llava")
    return SafeCoDe(
        model=model,
        processor=processor,
        judge=judge,
        policy=policy(**options),
        sessions=sessions,
    )


def past(name: str, **categories: float) -> Recollection:
    return Recollection(name, categories, False)


# The store ---------------------------------------------------------------------------------------

Made = Callable[..., SessionStore]


@pytest.fixture(params=["memory", "redis"])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    """Makes stores: in this process, and in a real Redis."""
    if request.param == "memory":
        yield SessionMemory
        return
    shared = SharedRedis(request.getfixturevalue("redis_url"), key="k" * 16)
    yield partial(SharedSessions, shared)
    shared.close()


def test_a_session_is_kept_in_order_and_apart_from_others(made: Made) -> None:
    memory = made()
    assert memory.recall("a") == ()
    memory.remember("a", past("1"))
    memory.remember("b", past("2"))
    memory.remember("a", past("3"))
    assert [each.request_id for each in memory.recall("a")] == ["1", "3"]
    assert [each.request_id for each in memory.recall("b")] == ["2"]


def test_the_session_that_was_idle_longest_goes_first(made: Made) -> None:
    memory = made(capacity=2)
    for name in ("a", "b", "a", "c"):
        memory.remember(name, past(name))
    assert [bool(memory.recall(name)) for name in ("a", "b", "c")] == [True, False, True]


def test_a_session_is_forgotten_when_its_time_is_over() -> None:
    now = [0.0]
    memory = SessionMemory(ttl_s=10, clock=lambda: now[0])
    memory.remember("a", past("1"))
    now[0] = 9.0
    memory.remember("b", past("2"))
    assert memory.recall("a")
    now[0] = 10.0
    assert not memory.recall("a")
    assert memory.recall("b")
    memory.remember("a", past("3"))
    assert [each.request_id for each in memory.recall("a")] == ["3"]


def test_what_is_too_old_to_be_kept_apart_is_kept_as_one(made: Made) -> None:
    memory = made()
    memory.remember("a", Recollection("first", {"x": 0.9, "y": 0.1}, True))
    for number in range(2 * MOST_REQUESTS):
        memory.remember("a", past(str(number), y=0.5))
    kept = memory.recall("a")
    assert len(kept) == MOST_REQUESTS
    assert dict(kept[0].categories) == {"x": 0.9, "y": 0.5}
    assert kept[0].refused
    assert kept[0].request_id == "first"  # whom a later record blames
    assert kept[-1].request_id == str(2 * MOST_REQUESTS - 1)


@pytest.mark.parametrize(
    ("first", "second", "blamed"),
    [
        (Recollection("a", {"x": 0.9}, False), Recollection("b", {"x": 0.5}, False), "a"),
        (Recollection("a", {"x": 0.5}, False), Recollection("b", {"x": 0.9}, False), "b"),
        (Recollection("a", {"x": 0.5}, True), Recollection("b", {"x": 0.9}, False), "a"),
        (Recollection("a", {"x": 0.9}, True), Recollection("b", {"x": 0.5}, True), "a"),
        (Recollection("a", {}, False), Recollection("b", {}, False), "b"),
    ],
)
def test_two_requests_kept_as_one_bear_the_id_of_the_one_that_counts(
    first: Recollection, second: Recollection, blamed: str, made: Made
) -> None:
    memory = made()
    for request in (first, second, *[past(str(n)) for n in range(MOST_REQUESTS - 1)]):
        memory.remember("s", request)
    assert [each.request_id for each in memory.recall("s")][:2] == [blamed, "0"]


def test_what_is_remembered_comes_back_as_it_was(made: Made) -> None:
    memory = made()
    first = Recollection("1", {"x": 0.1 + 0.2, "ü": 5e-324}, True)
    again = Recollection("2", {}, False, replaces="1")
    memory.remember("a", first)
    assert list(memory.recall("a")) == [first]
    for _ in range(2):  # a request that is told of twice is there once
        memory.remember("a", again)
    assert list(memory.recall("a")) == [again]


def test_threads_lose_nothing(made: Made) -> None:
    memory = made()

    def add(name: str) -> None:
        for number in range(10):
            memory.remember("shared", past(f"{name}-{number}"))

    threads = [threading.Thread(target=add, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory.recall("shared")) == 60


@pytest.mark.parametrize("limits", [{"capacity": 0}, {"ttl_s": 0}])
def test_limits_below_one_are_refused(limits: dict[str, int], made: Made) -> None:
    with pytest.raises(SettingsError, match="expected 1 or more"):
        made(**limits)


# The engine --------------------------------------------------------------------------------------


def test_a_harmful_request_still_counts_two_turns_later() -> None:
    engine = guarded(decay=0.9)
    ask: Any = {"max_new_tokens": 2, "do_sample": False}
    first = engine.ask("danger", session="s", **ask).decision
    second = engine.ask("hello", session="s", **ask).decision
    third = engine.ask("hello", session="s", **ask).decision
    assert [each.action for each in (first, second, third)] == ["refuse"] * 3
    assert third.verdict.p_unsafe == 0.02  # the judge's own belief stays what it is
    assert third.session is not None
    remembered = third.session.remembered["medical"]
    assert remembered.request_id == first.request_id
    assert remembered.p == pytest.approx(0.95 * 0.81)
    assert third.session.refusal == second.request_id
    assert Decision.model_validate(third.model_dump(mode="json")) == third


def test_other_sessions_requests_without_one_and_other_policies_know_nothing_of_it() -> None:
    engine = guarded()
    engine.answer(question("danger", session="s"), TWO)
    for conversation in (question("hello", session="other"), question("hello")):
        decision = engine.answer(conversation, TWO).decision
        assert (decision.action, decision.session) == ("comply", None)
    forgetful = load_policy("baseline")
    decision = engine.answer(question("hello", session="s"), TWO, policy=forgetful).decision
    assert (decision.action, decision.session) == ("comply", None)


def test_thresholds_are_lower_after_a_refusal_and_only_then() -> None:
    engine = guarded(decay=0.0, after_refusal={"unsafe_at": 0.5})
    before = engine.answer(question("unclear", session="s"), TWO).decision
    engine.answer(question("danger", session="s"), TWO)
    after = engine.answer(question("unclear", session="s"), TWO).decision
    assert (before.verdict.label, after.verdict.label) == ("uncertain", "unsafe")


def test_a_batch_remembers_each_rows_own_session() -> None:
    engine = guarded()
    engine.batch([question("danger", session="a"), question("hello", session="b")], TWO)
    later = engine.batch([question("hello", session=name) for name in ("a", "b")], TWO)
    assert [answer.decision.action for answer in later] == ["refuse", "comply"]


def test_mode_off_neither_remembers_nor_is_remembered() -> None:
    engine = guarded()
    engine.answer(question("danger", session="s"), TWO, mode="off")
    assert engine.answer(question("hello", session="s"), TWO).decision.action == "comply"


def test_what_was_approved_is_not_held_against_itself() -> None:
    asks = {"on_uncertain": "escalate", "on_unsafe": "block"}
    engine = guarded(verdict=asks, after_refusal={"unsafe_at": 0.4})
    asked = question("unclear", session="s")
    with pytest.raises(Escalation) as caught:
        engine.answer(asked, TWO)
    known, token = caught.value.decision.request_id, caught.value.token
    review = Review(request_id=known, approved=True, by="alice", token=token)
    decision = engine.answer(asked, TWO, review=review).decision
    assert (decision.action, decision.review, decision.session) == ("plain", review, None)


@pytest.mark.parametrize("memory", ["answers", "decides"])
def test_what_was_approved_is_not_held_against_later_requests(memory: str) -> None:
    engine = guarded(verdict={"on_uncertain": "escalate", "on_unsafe": "block"})
    asked, later = question("unclear", session="s"), question("hello", session="s")
    judged = engine.decide(asked)
    before = judged.decision
    assert engine.decide(later).decision.action == "escalate"  # nobody has approved it yet
    review = Review(request_id=before.request_id, approved=True, token=judged.token)
    if memory == "answers":
        engine.answer(asked, TWO, review=review)
    else:
        engine.decide(asked, review=review)
    assert before.request_id not in {each.request_id for each in engine.sessions.recall("s")}
    assert engine.decide(later).decision.action == "comply"


def test_a_rejection_and_an_approval_of_what_is_blocked_now_still_count() -> None:
    for asked, approved in (("unclear", False), ("danger", True)):
        engine = guarded(verdict={"on_uncertain": "escalate", "on_unsafe": "block"})
        judged = engine.decide(question("unclear", session="s"))
        before = judged.decision
        review = Review(request_id=before.request_id, approved=approved, token=judged.token)
        assert engine.decide(question(asked, session="s"), review=review).decision.action == "block"
        assert engine.decide(question("hello", session="s")).decision.action != "comply"
        assert len(engine.sessions.recall("s")) == 3


def test_what_shadow_let_pass_was_not_refused() -> None:
    engine = guarded(decay=0.0, after_refusal={"unsafe_at": 0.3})
    for mode, refused in (("shadow", False), ("enforce", True)):
        engine.decide(question("danger", session=mode), mode=mode)  # type: ignore[arg-type]
        [kept] = engine.sessions.recall(mode)
        assert kept.refused is refused
        later = engine.decide(question("unclear", session=mode)).decision
        assert later.verdict.label == ("unsafe" if refused else "uncertain")


class Broken:
    """A store that cannot be reached."""

    def __init__(self, where: str) -> None:
        self._where = where

    def recall(self, session: str) -> Sequence[Recollection]:
        if self._where == "recall":
            raise ConnectionError("no store")
        return ()

    def remember(self, session: str, request: Recollection) -> None:
        if self._where == "remember":
            raise ConnectionError("no store")


@pytest.mark.parametrize("where", ["recall", "remember"])
def test_a_store_that_fails_makes_the_verdict_unavailable(where: str) -> None:
    engine = guarded(Broken(where))
    decision = engine.answer(question("hello", session="s"), TWO).decision
    assert (decision.verdict.label, decision.action) == ("unavailable", "block")
    assert decision.errors == ["the session memory failed: ConnectionError"]
    assert engine.answer(question("hello"), TWO).decision.action == "comply"  # nothing to recall


def test_a_guard_remembers_what_it_decides() -> None:
    guard = Guard(policy=policy(), judge=judge)
    assert guard.decide(question("danger", session="s")).withheld
    again = guard.decide(question("hello", session="s"))
    assert again.decision.action == "refuse"
    assert again.refusal.startswith("I can't help with that here")
    assert not guard.decide(question("hello")).withheld


# The chat model ----------------------------------------------------------------------------------


def action(message: Any) -> str:
    return str(message.response_metadata["guardrail"]["action"])


@pytest.mark.parametrize(
    "config",
    [
        {"configurable": {"thread_id": "t"}},
        {"configurable": {"session_id": "t", "thread_id": "another"}},
        {"metadata": {"session_id": "t"}},
        {"metadata": {"thread_id": "t"}},
    ],
)
async def test_a_run_names_its_session_however_it_is_called(config: Any) -> None:
    chat = ChatSafeCoDe(engine=guarded(), max_tokens=2)
    chat.invoke("danger", config)
    assert action(chat.invoke("hello", config)) == "refuse"
    assert action(await chat.ainvoke("hello", config)) == "refuse"
    assert action([*chat.stream("hello", config)][-1]) == "refuse"
    assert action([chunk async for chunk in chat.astream("hello", config)][-1]) == "refuse"
    assert [action(a) for a in chat.batch(["hello"] * 2, [config, {}])] == ["refuse", "comply"]
    both = await chat.abatch(["hello"] * 2, [config, {}])
    assert [action(answer) for answer in both] == ["refuse", "comply"]
    assert action(chat.invoke("hello", session="t")) == "refuse"


def test_messages_carry_their_decisions_without_a_session() -> None:
    chat = ChatSafeCoDe(engine=guarded(), max_tokens=2)
    first = chat.invoke("danger")
    history = [HumanMessage("danger"), first, HumanMessage("hello")]
    decision = Decision.model_validate(chat.invoke(history).response_metadata["guardrail"])
    assert decision.action == "refuse"
    assert decision.session is not None
    assert (
        decision.session.remembered["medical"].request_id
        == (first.response_metadata["guardrail"]["request_id"])
    )


def test_what_a_message_carries_can_only_tighten() -> None:
    chat = ChatSafeCoDe(engine=guarded(), max_tokens=2)
    config: Any = {"configurable": {"thread_id": "t"}}
    harmless = chat.invoke("hello").response_metadata["guardrail"]
    chat.invoke("danger", config)
    kept = chat.engine.sessions.recall("t")[0].request_id
    for told in (
        harmless,
        {**harmless, "request_id": kept},  # what is kept here outweighs what the message says of it
        {**harmless, "request_id": "no id at all"},
        {"nothing": "of use"},
        "words",
    ):
        said = AIMessage("yes", response_metadata={"guardrail": told})
        answer = chat.invoke([HumanMessage("hi"), said, HumanMessage("hello")], config)
        assert action(answer) == "refuse"


def test_what_a_session_may_change_never_comes_out_of_a_cache() -> None:
    threads: Any = [{"configurable": {"thread_id": name}} for name in ("a", "b")]

    def requests(**options: Any) -> int:
        chat = ChatSafeCoDe(
            model="m", engine=guarded(), cache=InMemoryCache(), max_tokens=2, **options
        )
        answers = [chat.invoke("hello", config) for config in threads * 2]
        decisions = [each.response_metadata["guardrail"] for each in answers]
        return len({each["cached_from"] or each["request_id"] for each in decisions})

    assert requests() == 4
    assert requests(policy="baseline") == 1  # no memory: answers are shared by all sessions


def test_a_review_that_is_none_is_refused() -> None:
    chat = ChatSafeCoDe(engine=guarded(), max_tokens=2)
    with pytest.raises(SettingsError, match="review is 'yes'"):
        chat.invoke("hello", review="yes")
