"""The guardrail around an agent whose own model is remote, or guards itself."""

from __future__ import annotations

import base64
import io
import itertools
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, StructuredOutputValidationError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel, ValidationError

from guardrail import ChatSafeCoDe, Decision, SafeCoDe
from guardrail.chat.agents import GuardrailMiddleware
from guardrail.errors import PolicyError
from guardrail.judging.guard import Guard
from guardrail.record.audit.redaction import Redaction
from guardrail.record.keys import HmacKey
from tests.chat.agents.scripted import MADE, Log, Remote, WordJudge, calls, guard, policy, price_of
from tests.families import build, picture

THREAD: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture(autouse=True)
def _no_calls_made() -> None:
    MADE.clear()


def shown(text: str) -> dict[str, Any]:
    encoded = io.BytesIO()
    picture(0).save(encoded, "PNG")
    data = base64.b64encode(encoded.getvalue()).decode()
    image = {"type": "image", "base64": data, "mime_type": "image/png"}
    return {"messages": [HumanMessage([image, {"type": "text", "text": text}])]}


def agent(model: Any, guarded: Any, **options: Any) -> Any:
    return create_agent(
        model,
        [price_of],
        middleware=[GuardrailMiddleware(guarded, **options)],
        checkpointer=InMemorySaver(),
    )


def record(message: Any) -> Decision:
    return Decision.model_validate(message.response_metadata["guardrail"])


def waiting(result: dict[str, Any]) -> list[dict[str, Any]]:
    [interrupt] = result["__interrupt__"]
    assert interrupt.value["type"] == "guardrail"
    return list(interrupt.value["requests"])


async def run(agent: Any, given: Any, asynchronous: bool) -> dict[str, Any]:
    if asynchronous:
        return dict(await agent.ainvoke(given, THREAD))
    return dict(agent.invoke(given, THREAD))


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


# Requests ----------------------------------------------------------------------------------------


@both
async def test_a_safe_request_goes_on_and_its_answer_carries_the_decision(
    asynchronous: bool,
) -> None:
    guarded, log = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    result = await run(agent(model, guarded), shown("What is this?"), asynchronous)
    said = result["messages"][-1]
    assert said.text == "a guitar"
    assert record(said).action == "comply"
    assert record(said).outcome.finish_reason == "judged"
    assert [each.request_id for each in log.decisions] == [record(said).request_id]


@both
@pytest.mark.parametrize("action", ["block", "refuse"])
async def test_an_unsafe_request_never_reaches_the_model_and_gets_the_policys_words(
    action: str, asynchronous: bool
) -> None:
    guarded, log = guard(verdict={"on_unsafe": action})
    model = Remote(answers=[AIMessage("no")])
    result = await run(agent(model, guarded), shown("some danger"), asynchronous)
    assert model.asked == []
    said = result["messages"][-1]
    assert said.text.startswith("I can't help with that here")
    assert (record(said).action, record(said).outcome.finish_reason) == (action, "blocked")
    assert [each.action for each in log.decisions] == [action]


def test_a_judge_that_raises_is_unavailable_and_the_policy_says_what_then() -> None:
    for on_error, reaches in (("block", 0), ("plain", 1)):
        guarded, log = guard(verdict={"on_error": on_error})
        model = Remote(answers=[AIMessage("ok")])
        agent(model, guarded).invoke(shown("unjudgeable"), THREAD)
        assert len(model.asked) == reaches
        assert log.decisions[0].verdict.label == "unavailable"
        assert log.decisions[0].action == on_error


def test_what_cannot_be_read_by_the_judge_is_unavailable_too() -> None:
    guarded, log = guard()
    model = Remote(answers=[AIMessage("ok")])
    sound = HumanMessage([{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}])
    result = agent(model, guarded).invoke({"messages": [sound]}, THREAD)
    assert model.asked == []
    [line] = log.decisions[0].errors
    assert line.startswith("the judge failed: MessageError: message 0 (human), block 0: ")
    assert record(result["messages"][-1]).action == "block"


SECRET = "s3cr3t-words"
DATA = base64.b64encode(SECRET.encode()).decode()


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"type": "image", "url": f"https://{SECRET}.org/a.png"}, "UrlPolicy"),
        ({"type": "image", "url": f'/tmp/{SECRET}\'s "picture".png'}, "does not exist"),
        ({"type": "image", "url": f"{SECRET}://x/a.png"}, "of this kind are not supported"),
        ({"type": "image", "url": f"data:{SECRET},%00"}, "not a picture"),
        ({"type": "image", "url": f"file://{SECRET}/a.png"}, "on another machine"),
        ({"type": "image", "base64": DATA, "mime_type": "image/png"}, "not a picture"),
        ({"type": "image", "base64": SECRET + "!", "mime_type": "image/png"}, "not valid base64"),
        ({"type": "image", "file_id": SECRET}, "an id of an uploaded file"),
        ({"type": f"the {SECRET}'s", "url": SECRET}, "cannot be shown"),
        ({"type": "audio", "base64": DATA, "mime_type": f"audio/{SECRET}"}, "cannot be shown to a"),
        ({"type": "document", "title": SECRET, "source": {"type": "url", "url": SECRET}}, "shown"),
    ],
)
def test_why_a_request_cannot_be_judged_is_on_record_without_its_words(
    block: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    guarded, log = guard()
    model = Remote(answers=[AIMessage("ok")])
    asked = {"messages": [HumanMessage([{"type": "text", "text": "go"}, block])]}
    told = record(agent(model, guarded).invoke(asked, THREAD)["messages"][-1])
    [line] = told.errors
    assert (why in line, model.asked) == (True, [])
    assert log.decisions == [told]
    assert line in caplog.text
    for shown in (told.model_dump_json(), caplog.text):
        assert SECRET not in shown
        assert DATA not in shown
    kept = Redaction(policy(), HmacKey(b"a key")).without_words(told)
    assert kept.errors == told.errors


def test_shadow_withholds_nothing_and_records_everything() -> None:
    shadow = policy().model_copy(update={"mode": "shadow"})
    guarded, log = guard()
    model = Remote(answers=[calls("danger"), AIMessage("ok")])
    result = agent(model, guarded, policy=shadow).invoke(shown("some danger"), THREAD)
    assert result["messages"][-1].text == "ok"
    assert MADE == ["danger"]
    assert [each.action for each in log.decisions] == ["block", "block", "block"]
    assert {each.outcome.finish_reason for each in log.decisions} == {"judged"}


def test_the_judge_is_told_of_system_prompt_pictures_and_tool_results() -> None:
    judge = WordJudge()
    guarded, log = guard(judge)
    model = Remote(answers=[calls("guitar"), AIMessage("it costs 10")])
    made = create_agent(
        model, [price_of], system_prompt="be kind", middleware=[GuardrailMiddleware(guarded)]
    )
    made.invoke(shown("How much is it?"))
    first, call, second = log.conversations
    assert [turn.role for turn in first.turns] == ["system", "user"]
    assert len(first.pictures) == len(call.pictures) == len(second.pictures) == 1
    assert call.turns[-1].text.endswith('\nCall: price_of({"item": "guitar"})')
    assert "Result of price_of:\nthe guitar costs 10" in second.turns[-1].text
    assert not any(turn.tool_calls for turn in second.turns)


def test_a_policy_that_does_not_check_shows_at_once() -> None:
    with pytest.raises(PolicyError):
        GuardrailMiddleware(Guard(judge=WordJudge()), policy="no-such-policy")


# Calls to tools ----------------------------------------------------------------------------------


@both
async def test_a_safe_call_is_made_and_its_result_carries_the_decision(asynchronous: bool) -> None:
    guarded, log = guard()
    model = Remote(answers=[calls("guitar"), AIMessage("10")])
    result = await run(agent(model, guarded), shown("How much?"), asynchronous)
    answered = result["messages"][-2]
    assert isinstance(answered, ToolMessage)
    assert (answered.text, answered.status) == ("the guitar costs 10", "success")
    assert record(answered).request_id == log.decisions[1].request_id
    assert MADE == ["guitar"]


@both
async def test_an_unsafe_call_is_not_made_and_the_others_are(asynchronous: bool) -> None:
    guarded, _ = guard()
    model = Remote(answers=[calls("guitar", "danger"), AIMessage("done")])
    result = await run(agent(model, guarded), shown("How much?"), asynchronous)
    fine, refused = result["messages"][-3:-1]
    assert (fine.status, refused.status) == ("success", "error")
    assert refused.text.startswith("I can't help with that here")
    assert record(refused).action == "block"
    assert MADE == ["guitar"]


def test_calls_go_unjudged_if_the_developer_says_so() -> None:
    guarded, log = guard()
    model = Remote(answers=[calls("danger"), AIMessage("done")])
    agent(model, guarded, tools=False).invoke(shown("How much?"), THREAD)
    assert MADE == ["danger"]
    assert len(log.decisions) == 2


def test_a_call_that_was_changed_after_it_was_judged_is_judged_again() -> None:
    guarded, log = guard()
    middleware = GuardrailMiddleware(guarded)
    for item, is_made in (("guitar", True), ("danger", False), ("unclear", False)):
        call = calls(item).tool_calls[0]
        judged = {"name": "price_of", "args": {"item": "something else"}, "withheld": False}
        state = {
            "messages": [*shown("How much?")["messages"], calls(item)],
            "guardrail": {"calls": {str(call["id"]): judged}},
        }
        request = _ToolRequest(call, state)
        result = middleware.wrap_tool_call(request, lambda r: price_of.invoke(r.tool_call))  # type: ignore[arg-type]
        assert isinstance(result, ToolMessage)
        assert result.status == ("success" if is_made else "error")
    assert MADE == ["guitar"]
    assert len(log.decisions) == 3


class _ToolRequest:
    def __init__(self, call: Any, state: Any) -> None:
        self.tool_call, self.state = call, state


# A human -----------------------------------------------------------------------------------------


@both
async def test_an_escalated_request_waits_and_goes_on_once_approved(asynchronous: bool) -> None:
    guarded, log = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    [asked] = waiting(await run(made, shown("unclear"), asynchronous))
    assert model.asked == []
    assert asked["decision"]["action"] == "escalate"
    assert asked["tool_call"] is None
    said = {"decisions": [{"type": "approve", "by": "alice"}]}
    result = await run(made, Command(resume=said), asynchronous)
    assert [message.type for message in result["messages"]] == ["human", "ai"]
    decision = record(result["messages"][-1])
    assert decision.action == "plain"
    assert decision.review is not None
    assert (decision.review.approved, decision.review.by) == (True, "alice")
    assert decision.review.request_id == asked["decision"]["request_id"]
    assert [each.action for each in log.decisions] == ["escalate", "plain"]


@both
async def test_a_rejected_request_gets_the_policys_words(asynchronous: bool) -> None:
    guarded, log = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    await run(made, shown("unclear"), asynchronous)
    result = await run(made, Command(resume="reject"), asynchronous)
    assert model.asked == []
    assert [message.type for message in result["messages"]] == ["human", "ai"]
    assert result["messages"][-1].text.startswith("I can't help with that here")
    decision = record(result["messages"][-1])
    assert decision.action == "block"
    assert decision.review is not None
    assert not decision.review.approved
    assert log.decisions[-1] == decision


def test_a_rejected_request_stays_rejected_whatever_the_judge_says_the_second_time() -> None:
    judge = WordJudge(iter([0.5, 0.0, 0.0]))
    guarded, _ = guard(judge)
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    made.invoke(shown("unclear"), THREAD)
    result = made.invoke(Command(resume="reject"), THREAD)
    assert model.asked == []
    assert record(result["messages"][-1]).action == "block"


def test_an_approval_replaces_the_escalation_and_nothing_else() -> None:
    judge = WordJudge(iter([0.5, 0.99]))  # by now it is worse than what was approved
    guarded, _ = guard(judge)
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    made.invoke(shown("unclear"), THREAD)
    result = made.invoke(Command(resume="approve"), THREAD)
    assert model.asked == []
    assert record(result["messages"][-1]).action == "block"


def test_an_approval_holds_for_its_own_request_only() -> None:
    guarded, _ = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    made.invoke(shown("unclear"), THREAD)
    made.invoke(Command(resume="approve"), THREAD)
    assert waiting(made.invoke(shown("unclear again"), THREAD))


def test_a_new_request_instead_of_an_answer_leaves_the_old_one_refused() -> None:
    guarded, _ = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    made.invoke(shown("unclear"), THREAD)
    result = made.invoke({"messages": [HumanMessage("hello")]}, THREAD)
    assert [message.type for message in result["messages"]] == ["human", "ai", "human", "ai"]
    assert result["messages"][1].text.startswith("I can't help with that here")
    assert result["messages"][-1].text == "a guitar"


@both
async def test_escalated_calls_wait_together_and_are_made_one_by_one(asynchronous: bool) -> None:
    guarded, log = guard(WordJudge(itertools.repeat(0.5)))
    items = ("guitar", "unclear one", "unclear two")
    model = Remote(answers=[calls(*items), AIMessage("done")])
    made = agent(model, guarded)
    asked = waiting(await run(made, shown("How much?"), asynchronous))
    assert [each["tool_call"]["args"]["item"] for each in asked] == list(items[1:])
    assert MADE == []
    said = {"decisions": [{"type": "reject"}, {"type": "approve", "by": "bob"}]}
    result = await run(made, Command(resume=said), asynchronous)
    assert sorted(MADE) == ["guitar", "unclear two"]
    assert [m.status for m in result["messages"] if isinstance(m, ToolMessage)] == [
        "success",
        "error",
        "success",
    ]
    reviews = [each.review for each in log.decisions if each.review is not None]
    assert [(review.approved, review.by) for review in reviews] == [(False, None), (True, "bob")]


@pytest.mark.parametrize("answer", ["perhaps", {"decisions": []}, {"type": "edit"}, 1, None])
def test_an_answer_that_is_none_approves_nothing(answer: Any) -> None:
    guarded, _ = guard()
    model = Remote(answers=[AIMessage("a guitar")])
    made = agent(model, guarded)
    made.invoke(shown("unclear"), THREAD)
    with pytest.raises(ValidationError):
        made.invoke(Command(resume={"decisions": None} if answer is None else answer), THREAD)
    assert model.asked == []
    result = made.invoke(Command(resume="approve"), THREAD)  # it can be answered again
    assert result["messages"][-1].text == "a guitar"


# Sessions and policies ---------------------------------------------------------------------------


@both
async def test_a_thread_remembers_what_was_asked_in_it(asynchronous: bool) -> None:
    guarded, log = guard(session={"memory": "max"})
    model = Remote(answers=[AIMessage("hello")])
    made = agent(model, guarded)
    await run(made, shown("some danger"), asynchronous)
    await run(made, shown("hello"), asynchronous)
    assert model.asked == []
    other: Any = {"configurable": {"thread_id": "another"}}
    assert made.invoke(shown("hello"), other)["messages"][-1].text == "hello"
    first, later, elsewhere = log.decisions
    assert later.session is not None
    assert later.session.remembered["medical"].request_id == first.request_id
    assert elsewhere.session is None


def test_a_thread_without_a_store_of_its_own_remembers_by_its_messages() -> None:
    """As after a restart, or in another process."""
    first, _ = guard(session={"memory": "max"})
    asked = agent(Remote(answers=[AIMessage("hello")]), first).invoke(shown("danger"), THREAD)
    fresh, log = guard(session={"memory": "max"})
    history = [*asked["messages"], HumanMessage("hello")]
    agent(Remote(answers=[AIMessage("hello")]), fresh).invoke({"messages": history}, THREAD)
    assert [each.action for each in log.decisions] == ["block"]


def test_the_runs_metadata_choose_in_a_selection_of_policies(tmp_path: Path) -> None:
    selection = tmp_path / "selection.yaml"
    selection.write_text(
        "version: 1\nname: acme\nselect:\n"
        "  - when: {tenant: kids-app}\n    policy: kids\n  - policy: permissive\n"
    )
    log = Log()
    guarded = Guard(policy=selection, judge=WordJudge(), observer=log)
    made = agent(Remote(answers=[AIMessage("hello")]), guarded)
    made.invoke(shown("hello"), {**THREAD, "metadata": {"tenant": "kids-app"}})
    made.invoke(shown("hello"), THREAD)
    assert [each.policy.name for each in log.decisions] == ["kids", "permissive"]


# A model that guards itself ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> SafeCoDe:
    model, processor = build("qwen3_vl")  # its template takes tools
    return SafeCoDe(model=model, processor=processor, policy=policy(), judge=WordJudge())


@both
async def test_the_models_own_escalation_becomes_the_same_interrupt(
    engine: SafeCoDe, asynchronous: bool
) -> None:
    chat = ChatSafeCoDe(engine=engine, max_tokens=4)
    made = agent(chat, chat)
    [asked] = waiting(await run(made, shown("unclear"), asynchronous))
    assert asked["decision"]["outcome"]["finish_reason"] == "escalated"
    result = await run(made, Command(resume={"type": "approve", "by": "eve"}), asynchronous)
    decision = record(result["messages"][-1])
    assert (decision.action, decision.outcome.output_tokens) == ("plain", 4)
    assert decision.review is not None
    assert decision.review.request_id == asked["decision"]["request_id"]
    assert [message.type for message in result["messages"]] == ["human", "ai"]


def test_a_rejected_escalation_of_the_model_gets_its_policys_words(engine: SafeCoDe) -> None:
    chat = ChatSafeCoDe(engine=engine, max_tokens=4)
    made = agent(chat, chat)
    made.invoke(shown("unclear"), THREAD)
    result = made.invoke(Command(resume="reject"), THREAD)
    assert result["messages"][-1].text.startswith("I can't help with that here")
    assert record(result["messages"][-1]).outcome.finish_reason == "blocked"


def test_a_model_that_guards_itself_is_judged_once(engine: SafeCoDe) -> None:
    judge = WordJudge()
    shared = SafeCoDe(model=engine.model, processor=engine.processor, policy=policy(), judge=judge)
    chat = ChatSafeCoDe(engine=shared, max_tokens=2)
    agent(chat, chat).invoke(shown("hello"), THREAD)
    assert len(judge.asked) == 1


def test_a_model_that_guards_itself_remembers_its_thread(engine: SafeCoDe) -> None:
    remembering = policy(session={"memory": "max"})
    chat = ChatSafeCoDe(engine=engine, policy=remembering, max_tokens=2)
    made = agent(chat, chat)
    first = made.invoke(shown("some danger"), THREAD)["messages"][-1]
    later = record(made.invoke(shown("hello"), THREAD)["messages"][-1])
    assert later.action == "block"
    assert later.session is not None
    assert later.session.remembered["medical"].request_id == record(first).request_id
    assert [each.request_id for each in engine.sessions.recall("t")] == [
        record(first).request_id,
        later.request_id,
    ]


def judged_by(judge: Any, engine: SafeCoDe, **verdict: Any) -> SafeCoDe:
    """The engine's model under another judge."""
    rules = policy(verdict=verdict) if verdict else policy()
    return SafeCoDe(model=engine.model, processor=engine.processor, policy=rules, judge=judge)


BLOCKS: dict[str, Any] = {"on_unsafe": "block", "on_uncertain": "block"}


@both
async def test_the_middlewares_policy_is_the_models_too(
    engine: SafeCoDe, asynchronous: bool
) -> None:
    mild = ChatSafeCoDe(engine=judged_by(WordJudge(), engine, on_unsafe="plain"), max_tokens=2)
    strict = policy(verdict=BLOCKS)
    result = await run(agent(mild, mild, policy=strict), shown("some danger"), asynchronous)
    said = record(result["messages"][-1])
    assert (said.action, said.outcome.finish_reason) == ("block", "blocked")
    assert said.policy.digest == strict.digest


@pytest.mark.parametrize(
    "made",
    [
        lambda engine: ChatSafeCoDe(engine=engine, mode="off", max_tokens=2),
        lambda engine: ChatSafeCoDe(engine=engine, mode="shadow", max_tokens=2),
        lambda engine: ChatSafeCoDe(engine=engine, max_tokens=2).bind(mode="off"),
        lambda engine: ChatSafeCoDe(engine=engine, policy="permissive", max_tokens=2),
    ],
    ids=["off", "shadow", "bound off", "another policy"],
)
@both
async def test_a_model_that_does_not_enforce_the_policy_is_judged_like_any_other(
    engine: SafeCoDe, made: Any, asynchronous: bool
) -> None:
    guarded, log = guard()
    model = made(engine)
    result = await run(agent(model, guarded), shown("some danger"), asynchronous)
    assert [each.outcome.finish_reason for each in log.decisions] == ["blocked"]
    assert record(result["messages"][-1]).request_id == log.decisions[0].request_id


def test_a_model_of_another_policy_withholds_by_its_own_what_the_guard_let_pass(
    engine: SafeCoDe,
) -> None:
    guarded, log = guard(lambda _: 0.02)
    model = ChatSafeCoDe(engine=engine, policy=policy(verdict=BLOCKS), max_tokens=2)
    said = agent(model, guarded).invoke(shown("some danger"), THREAD)["messages"][-1]
    assert [each.action for each in log.decisions] == ["comply"]
    assert record(said).outcome.finish_reason == "blocked"


def test_the_guard_and_a_model_of_another_policy_are_approved_one_after_the_other(
    engine: SafeCoDe,
) -> None:
    """An approval holds for one policy; the guard's is not asked for again."""
    guarded, log = guard(verdict={"on_unsafe": "escalate", "on_uncertain": "escalate"})
    made = agent(ChatSafeCoDe(engine=engine, max_tokens=2), guarded)
    [first] = waiting(made.invoke(shown("unclear"), THREAD))
    [second] = waiting(made.invoke(Command(resume="approve"), THREAD))
    assert first["decision"]["policy"]["digest"] != second["decision"]["policy"]["digest"]
    result = made.invoke(Command(resume="approve"), THREAD)
    assert "__interrupt__" not in result
    assert {each["action"] for each in result["messages"][-1].response_metadata["guardrails"]} == {
        "plain"
    }
    assert [each.action for each in log.decisions] == ["escalate", "plain"]


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_a_guards_own_mode_holds_for_what_it_judges(engine: SafeCoDe, mode: Any) -> None:
    judge = WordJudge()
    chat = ChatSafeCoDe(engine=judged_by(judge, engine), mode=mode, max_tokens=2)
    remote = Remote(answers=[calls("danger"), AIMessage("ok")])
    result = agent(remote, chat).invoke(shown("some danger"), THREAD)
    assert (result["messages"][-1].text, MADE) == ("ok", ["danger"])
    assert record(result["messages"][-1]).mode == mode
    judge.asked.clear()
    agent(chat, chat).invoke(shown("some danger"), THREAD)  # in step with its own guard: only once
    assert len(judge.asked) == (1 if mode == "shadow" else 0)


CONFIGURED = pytest.mark.parametrize(
    "configured",
    [
        lambda chat: chat.with_config(tags=["mine"]),
        lambda chat: chat.bind(temperature=0).with_config(tags=["mine"]),
        lambda chat: chat.configurable_fields(max_tokens=ConfigurableField("max_tokens")),
        lambda chat: chat.configurable_fields(
            max_tokens=ConfigurableField("max_tokens")
        ).with_config(configurable={"max_tokens": 3}),
    ],
    ids=["with_config", "bind", "configurable", "configured"],
)


@CONFIGURED
@pytest.mark.parametrize("tools", [[price_of], []], ids=["tools", "none"])
def test_a_configured_model_still_guards_itself(
    engine: SafeCoDe, configured: Any, tools: list[Any]
) -> None:
    judge = WordJudge()
    chat = ChatSafeCoDe(engine=judged_by(judge, engine), max_tokens=2)
    made = create_agent(
        configured(chat),
        tools,
        middleware=[GuardrailMiddleware(chat)],
        checkpointer=InMemorySaver(),
    )
    made.invoke(shown("hello"), THREAD)
    assert len(judge.asked) == 1
    waiting(made.invoke(shown("unclear"), THREAD))
    result = made.invoke(Command(resume="approve"), THREAD)
    assert "__interrupt__" not in result
    assert record(result["messages"][-1]).action == "plain"


@pytest.mark.parametrize("mode", ["enforce", "off"])
def test_what_a_run_configures_decides_whether_the_model_guards_itself(
    engine: SafeCoDe, mode: str
) -> None:
    judge = WordJudge()
    chat = ChatSafeCoDe(engine=engine, max_tokens=2)
    model: Any = chat.configurable_fields(mode=ConfigurableField("mode"))
    guarded, _ = guard(judge)
    made = create_agent(model, [], middleware=[GuardrailMiddleware(guarded)])
    said = made.invoke(shown("some danger"), {"configurable": {"mode": mode}})["messages"][-1]
    assert record(said).outcome.finish_reason == "blocked"
    assert len(judge.asked) == (0 if mode == "enforce" else 1)


def test_a_model_with_alternatives_that_do_not_guard_themselves_is_judged(
    engine: SafeCoDe,
) -> None:
    guarded, log = guard()
    model: Any = ChatSafeCoDe(engine=engine, max_tokens=2).configurable_alternatives(
        ConfigurableField("which"), remote=Remote(answers=[AIMessage("ok")])
    )
    made = create_agent(model, [], middleware=[GuardrailMiddleware(guarded)])
    said = made.invoke(shown("some danger"), {"configurable": {"which": "remote"}})["messages"][-1]
    assert [each.action for each in log.decisions] == ["block"]
    assert record(said).request_id == log.decisions[0].request_id


class Price(BaseModel):
    """A price."""

    item: Literal["guitar"]


@pytest.mark.parametrize("action", ["block", "refuse"])
@both
async def test_what_is_refused_needs_no_form(
    engine: SafeCoDe, action: str, asynchronous: bool
) -> None:
    model = ChatSafeCoDe(engine=judged_by(WordJudge(), engine, on_unsafe=action), max_tokens=4)
    made = create_agent(
        model, [], middleware=[GuardrailMiddleware(model)], response_format=ProviderStrategy(Price)
    )
    result = await run(made, shown("some danger"), asynchronous)
    assert result["structured_response"] is None
    assert record(result["messages"][-1]).action == action
    assert [message.type for message in result["messages"]] == ["human", "ai"]


@both
@pytest.mark.parametrize("guarded", [False, True], ids=["remote", "shadow"])
async def test_an_answer_in_the_wrong_form_is_still_an_error(
    engine: SafeCoDe, guarded: bool, asynchronous: bool
) -> None:
    shadow = ChatSafeCoDe(engine=engine, mode="shadow", max_tokens=4)
    made = create_agent(
        shadow if guarded else Remote(answers=[AIMessage("a guitar")]),
        [],
        middleware=[GuardrailMiddleware(shadow)],
        response_format=ProviderStrategy(Price),
    )
    with pytest.raises(StructuredOutputValidationError):
        await run(made, shown("some danger"), asynchronous)


def test_a_withheld_request_needs_no_form_either() -> None:
    guarded, _ = guard()
    made = create_agent(
        Remote(answers=[AIMessage("{}")]),
        [],
        middleware=[GuardrailMiddleware(guarded)],
        response_format=ProviderStrategy(Price),
    )
    result = made.invoke(shown("some danger"))
    assert result["structured_response"] is None
    assert record(result["messages"][-1]).action == "block"


@tool
def price_of_one(item: Literal["guitar", "danger"]) -> str:
    """Looks a price up."""
    MADE.append(item)
    return f"the {item} costs 10"


@wrap_model_call
def forced_first(request: Any, handler: Any) -> Any:
    """Random weights call no tools of their own accord."""
    first = isinstance(request.messages[-1], HumanMessage)
    return handler(request.override(tool_choice="any") if first else request)


@pytest.mark.parametrize("word", ["guitar", "danger"])
def test_a_guarded_model_calls_a_guarded_tool(engine: SafeCoDe, word: str) -> None:
    chat = ChatSafeCoDe(engine=engine, temperature=0, max_tokens=150)
    judge = WordJudge()
    guarded, _ = guard(lambda request: 0.95 if f'"{word}"' in asked(request) else judge(request))
    made = create_agent(
        chat, [price_of_one], middleware=[GuardrailMiddleware(guarded), forced_first]
    )
    _, called, answered, said = made.invoke(shown("hello"), THREAD)["messages"]
    [call] = called.tool_calls
    item = call["args"]["item"]
    assert record(called).outcome.finish_reason == "tool_calls"
    assert answered.status == ("error" if item == word else "success")
    assert ([] if item == word else [item]) == MADE
    assert record(said).model == engine.model_name


def asked(request: Any) -> str:
    return str(request.conversation.turns[-1].text)


def test_a_local_model_may_judge_for_a_remote_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
    model, processor = build("llava")
    local = SafeCoDe(model=model, processor=processor)
    remote = Remote(answers=[AIMessage("a guitar")])
    everything = {"unsafe_at": 1.0, "safe_below": 0.0}
    passing = local.policy.model_copy(update={"verdict": everything})
    made = create_agent(remote, [price_of], middleware=[GuardrailMiddleware(local, policy=passing)])
    messages = [SystemMessage("be kind"), *shown("What is this?")["messages"]]
    said = made.invoke({"messages": messages})["messages"][-1]
    assert record(said).verdict.source == "self"
    assert len(record(said).verdict.categories) == 7
    assert record(said).verdict.label == "uncertain"
