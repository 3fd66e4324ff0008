"""What an agent's model answers is judged before the agent acts on it, where the policy watches."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from guardrail import ChatSafeCoDe, Decision, SafeCoDe
from guardrail.chat.agents import GuardrailMiddleware
from guardrail.judging.judge import JudgeRequest
from guardrail.request.conversation import question
from tests.chat.agents.scripted import MADE, Remote, calls, guard, policy, price_of
from tests.families import build

THREAD: Any = {"configurable": {"thread_id": "t"}}
ASKED = {"messages": [HumanMessage("How much?")]}

both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@pytest.fixture(autouse=True)
def _no_calls_made() -> None:
    MADE.clear()


class AnswerJudge:
    """Goes by the words of answers; requests, and calls by themselves, are safe."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    def __call__(self, request: JudgeRequest) -> float:
        last = request.conversation.turns[-1]
        if "answer" not in next(iter(request.questions.values())):
            return 0.02
        assert last.role == "assistant"
        self.answers.append(last.text)
        if "unjudgeable" in last.text:
            raise RuntimeError("no idea")
        return 0.95 if "danger" in last.text else 0.02


def agent(model: Any, guarded: Any, **options: Any) -> Any:
    middleware = options.pop("middleware", None) or [GuardrailMiddleware(guarded)]
    saver = InMemorySaver()
    return create_agent(model, [price_of], middleware=middleware, checkpointer=saver, **options)


def watching(on_unsafe: str = "replace", **more: Any) -> Any:
    return guard(AnswerJudge(), watch={"every": 8, "on_unsafe": on_unsafe}, **more)


def record(message: Any) -> Decision:
    return Decision.model_validate(message.response_metadata["guardrail"])


def records(message: Any) -> list[Decision]:
    return [Decision.model_validate(each) for each in message.response_metadata["guardrails"]]


async def run(agent: Any, given: Any, asynchronous: bool) -> dict[str, Any]:
    if asynchronous:
        return dict(await agent.ainvoke(given, THREAD))
    return dict(agent.invoke(given, THREAD))


@both
async def test_an_answer_that_is_cleared_goes_on_with_both_decisions(asynchronous: bool) -> None:
    guarded, log = watching()
    model = Remote(answers=[calls("guitar"), AIMessage("it costs 10")])
    result = await run(agent(model, guarded), ASKED, asynchronous)
    assert MADE == ["guitar"]
    said = result["messages"][-1]
    assert said.text == "it costs 10"
    answer, request = records(said)
    assert record(said) == request
    assert (request.action, request.watch) == ("comply", [])
    assert [each.act for each in answer.watch] == ["release"]
    assert len(log.decisions) == 5  # two requests, two answers, a call
    assert guarded.judge.answers == ['Call: price_of({"item": "guitar"})', said.text]


@both
async def test_an_answer_that_is_not_cleared_makes_no_calls_and_ends_the_run(
    asynchronous: bool,
) -> None:
    guarded, log = watching()
    model = Remote(answers=[calls("guitar", "danger"), AIMessage("never")])
    result = await run(agent(model, guarded), ASKED, asynchronous)
    assert (MADE, len(model.asked)) == ([], 1)
    said = result["messages"][-1]
    assert [each.type for each in result["messages"]] == ["human", "ai"]
    assert said.text.startswith("I can't help with that here")
    assert said.tool_calls == []
    assert record(said).outcome.finish_reason == "blocked"
    assert [each.watch[0].act for each in records(said) if each.watch] == ["replace"]
    assert record(said) == log.decisions[-1]
    assert [each.outcome.finish_reason for each in records(said)] == ["blocked", "judged"]


@pytest.mark.parametrize(
    "content",
    [
        "unjudgeable",
        [{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}],
        [{"type": "reasoning", "reasoning": "some danger"}, {"type": "text", "text": "ok"}],
    ],
)
def test_what_cannot_be_judged_and_what_is_only_thought_is_withheld_too(content: Any) -> None:
    guarded, _ = watching()
    result = agent(Remote(answers=[AIMessage(content)]), guarded).invoke(ASKED, THREAD)
    assert record(result["messages"][-1]).outcome.finish_reason == "blocked"


def test_without_watching_answers_are_nobodys_business() -> None:
    judge = AnswerJudge()
    guarded, log = guard(judge)
    result = agent(Remote(answers=[AIMessage("some danger")]), guarded).invoke(ASKED, THREAD)
    assert (result["messages"][-1].text, judge.answers, len(log.decisions)) == (
        "some danger",
        [],
        1,
    )


def test_shadow_and_an_answer_that_says_nothing_go_on() -> None:
    guarded, log = watching()
    shadow = guarded.policy.model_copy(update={"mode": "shadow"})
    middleware = [GuardrailMiddleware(guarded, policy=shadow)]
    model = Remote(answers=[calls("danger"), AIMessage("")])
    result = agent(model, guarded, middleware=middleware).invoke(ASKED, THREAD)
    assert (MADE, result["messages"][-1].text) == (["danger"], "")
    assert [each.watch[0].act for each in log.decisions if each.watch] == ["replace"]


# A human -----------------------------------------------------------------------------------------


@both
async def test_an_escalated_answer_waits_and_is_acted_on_once_approved(asynchronous: bool) -> None:
    guarded, log = watching("escalate")
    model = Remote(answers=[calls("danger"), AIMessage("done")])
    made = agent(model, guarded)
    result = await run(made, ASKED, asynchronous)
    [interrupt] = result["__interrupt__"]
    [asked] = interrupt.value["requests"]
    assert (MADE, asked["tool_call"]) == ([], None)
    [call] = asked["answer"]["tool_calls"]
    assert call["args"] == {"item": "danger"}
    assert asked["decision"]["outcome"]["finish_reason"] == "escalated"
    assert "is unsafe" in asked["reason"]
    assert result["messages"][-1].text.startswith("I can't help with that here")
    said = {"decisions": [{"type": "approve", "by": "alice"}]}
    result = await run(made, Command(resume=said), asynchronous)
    assert (MADE, len(model.asked)) == (["danger"], 2)  # the first answer was not asked for again
    assert [each.type for each in result["messages"]] == ["human", "ai", "tool", "ai"]
    answer, request = records(result["messages"][1])
    assert answer.review is not None
    assert (answer.review.by, answer.watch[0].act) == ("alice", "release")
    assert request.request_id == log.decisions[0].request_id  # judged once
    assert "'token'" not in str(result["messages"])


@both
async def test_a_rejected_answer_stays_the_policys_words(asynchronous: bool) -> None:
    guarded, _ = watching("escalate")
    model = Remote(answers=[calls("danger"), AIMessage("never")])
    made = agent(model, guarded)
    await run(made, ASKED, asynchronous)
    result = await run(made, Command(resume="reject"), asynchronous)
    assert (MADE, len(model.asked)) == ([], 1)
    assert [each.type for each in result["messages"]] == ["human", "ai"]
    decision = record(result["messages"][-1])
    assert decision.outcome.finish_reason == "blocked"
    assert decision.review is not None
    assert not decision.review.approved


def test_two_guardrails_that_both_ask_are_asked_one_after_the_other() -> None:
    inner, outer = watching("escalate")[0], watching("escalate")[0]
    middleware = [
        GuardrailMiddleware(outer, name="outer"),
        GuardrailMiddleware(inner, name="inner"),
    ]
    model = Remote(answers=[calls("danger"), AIMessage("done")])
    made = agent(model, outer, middleware=middleware)
    made.invoke(ASKED, THREAD)
    assert made.invoke(Command(resume="approve"), THREAD)["__interrupt__"]
    result = made.invoke(Command(resume="approve"), THREAD)
    assert "__interrupt__" not in result
    assert (MADE, len(model.asked)) == (["danger"], 2)


class Price(BaseModel):
    """What is asked for."""

    item: str


@pytest.mark.parametrize(("said", "held"), [("approve", True), ("reject", False)])
def test_a_structured_answer_is_kept_for_its_approval_alone(said: str, held: bool) -> None:
    guarded, _ = watching("escalate")
    model = Remote(answers=[AIMessage('{"item": "danger"}')])
    made = agent(model, guarded, response_format=ProviderStrategy(Price))
    assert made.invoke(ASKED, THREAD)["structured_response"] is None
    result = made.invoke(Command(resume=said), THREAD)
    assert result["structured_response"] == (Price(item="danger") if held else None)


# A model that guards itself ----------------------------------------------------------------------


def test_a_model_that_enforces_the_policy_is_left_to_watch_its_own_answers() -> None:
    judge = AnswerJudge()
    rules = policy(
        watch={"every": 4, "on_unsafe": "replace", "unsafe_at": 0.02, "safe_below": 0.01}
    )
    model, processor = build("qwen3_vl")
    engine = SafeCoDe(model=model, processor=processor, policy=rules, judge=judge)
    chat = ChatSafeCoDe(engine=engine, max_tokens=8, temperature=0)
    result = agent(chat, chat).invoke(ASKED, THREAD)
    said = result["messages"][-1]
    assert record(said).outcome.replaced
    assert "guardrails" not in said.response_metadata
    assert len(judge.answers) == len(record(said).watch) == 1


def test_calls_of_an_answer_that_turned_after_them_are_not_made() -> None:
    guarded, _ = watching()
    turned = guarded.decide_answer(question("How much?"), "danger").decision
    said = calls("guitar")
    said.response_metadata["guardrail"] = turned.model_dump(mode="json")
    result = agent(Remote(answers=[said]), guarded).invoke(ASKED, THREAD)
    assert MADE == []
    assert [(each.type, getattr(each, "tool_calls", [])) for each in result["messages"]] == [
        ("human", []),
        ("ai", []),
    ]
