from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps, loads
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from guardrail import ChatSafeCoDe, Decision, Policy, SafeCoDe, load_policy
from guardrail.errors import (
    Escalation,
    GuardrailError,
    MessageError,
    ModelError,
    PolicyError,
    SettingsError,
)
from guardrail.judging.judge import JudgeRequest
from guardrail.judging.unjudged import Preparation
from guardrail.policy.sources import PolicyFile
from guardrail.record.answer import Answer
from guardrail.record.decision import Outcome, PolicyRef, VerdictRecord
from guardrail.request.conversation import Conversation, question
from guardrail.request.delta import Delta, Usage
from guardrail.request.settings import GenerationSettings
from tests.families import build, picture, save

FAMILIES = ("llava", "qwen2_5_vl", "idefics3")


def data_uri(seed: int = 0) -> str:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def ask(text: str = "What is this?", seed: int | None = 0) -> list[Any]:
    content: list[Any] = [{"type": "text", "text": text}]
    if seed is not None:
        content.append({"type": "image_url", "image_url": {"url": data_uri(seed)}})
    return [HumanMessage(content)]


def judge(request: JudgeRequest) -> float:
    """Judges by the words of the last turn, so that tests choose the verdict."""
    text = request.conversation.turns[-1].text
    if "unjudgeable" in text:
        raise RuntimeError("no idea")
    return 0.95 if "danger" in text else 0.5 if "unclear" in text else 0.02


def engine(family: str = "llava", policy: Any = "baseline") -> SafeCoDe:
    model, processor = build(family)
    return SafeCoDe(model=model, processor=processor, policy=policy, judge=judge)


def policy(name: str, **changes: Any) -> Policy:
    return load_policy("baseline").model_copy(update={"name": name, **changes})


STRICT = {"on_unsafe": "block", "on_uncertain": "escalate"}


@pytest.fixture(scope="module")
def chat() -> ChatSafeCoDe:
    return ChatSafeCoDe(engine=engine(), temperature=0, max_tokens=8)


PATIENCE_S = 60
"""How long a condition is waited for: the machine may be slow, and busy with other things."""

NEVER_DONE = 10_000
"""At 10 ms a word: more than a test that works ever waits for."""


class ScriptedEngine:
    """A double that streams what it is told, one word a tick. It judges and decodes nothing."""

    model_name = "scripted"

    def __init__(self, words: int = 5, tick_s: float = 0.0) -> None:
        self.policy = load_policy("baseline")
        self.words, self.tick_s = words, tick_s
        self.spoken = 0
        self.cancelled = threading.Event()
        self.batches: list[int] = []
        self.seen: list[tuple[GenerationSettings, str, Any]] = []
        self.closed = threading.Event()
        self.threads: set[threading.Thread] = set()  # a number may come again, a thread does not
        self.failed: list[Exception] = []
        self.cached: list[str] = []

    def pause(self) -> None:
        time.sleep(self.tick_s)

    def policy_for(self, policy: Any = None, metadata: Any = None) -> Policy:
        return load_policy(policy or self.policy)

    @contextlib.contextmanager
    def preparing(self, **_: Any) -> Iterator[Preparation]:
        try:
            yield Preparation()
        except Exception as error:
            self.failed.append(error)
            raise

    def served(
        self, conversation: Conversation, decision: Decision, text: str, *, policy: Policy
    ) -> Decision:
        self.cached.append(text)
        return decision.model_copy(update={"cached_from": decision.request_id})

    def call_format(self) -> Any:
        raise ModelError("a double takes no tools")

    def _answer(self, text: str) -> Answer:
        reference = PolicyRef(name="baseline", version=1, digest="0" * 64)
        decision = Decision(
            request_id="r",
            mode="enforce",
            policy=reference,
            verdict=VerdictRecord(),
            action="plain",
        )
        return Answer(text, (), decision, Usage(3, len(text.split())))

    def _cut_short(self, text: str) -> Answer:
        answer = self._answer(text)
        cancelled = {"outcome": Outcome(finish_reason="cancelled")}
        return replace(answer, decision=answer.decision.model_copy(update=cancelled))

    def stream(
        self,
        conversation: Conversation,
        settings: GenerationSettings,
        *,
        policy: Policy,
        mode: Any,
        cancel: threading.Event,
        review: Any,
    ) -> Iterator[Delta | Answer]:
        self.seen.append((settings, policy.name, mode))
        self.threads.add(threading.current_thread())
        said = ""
        try:
            for number in range(self.words):
                self.pause()
                if cancel.is_set():
                    self.cancelled.set()
                    yield self._cut_short(said)
                    return
                self.spoken += 1
                said += f"word{number} "
                yield Delta(f"word{number} ")
            yield self._answer(said)
        except GeneratorExit:  # cancelled between two words: whoever reads has closed it
            self.cancelled.set()
            raise
        finally:
            self.closed.set()

    def batch(
        self, conversations: list[Conversation], settings: Any, **options: Any
    ) -> list[Answer | Exception]:
        self.threads.add(threading.current_thread())
        self.batches.append(len(conversations))
        cancel = options["cancel"]
        for _ in range(self.words if self.tick_s else 0):
            if cancel.wait(self.tick_s):
                self.cancelled.set()
                return [self._cut_short("cut") for _ in conversations]
        self.seen += [(settings, options["policy"].name, options["mode"])] * len(conversations)
        if any("poison" in each.turns[-1].text for each in conversations):
            raise RuntimeError("poisoned batch")
        return [self._answer(each.turns[-1].text) for each in conversations]


# One answer, however it is asked for -------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
async def test_all_six_ways_give_the_same_answer(family: str) -> None:
    chat = ChatSafeCoDe(engine=engine(family), temperature=0, max_tokens=6)
    prompts = [ask("What is this?"), ask("This is danger", 1), ask("hello, no picture", None)]
    expected = [chat.invoke(prompt).content for prompt in prompts]
    assert all(expected)
    for index, prompt in enumerate(prompts):
        assert "".join(str(chunk.content) for chunk in chat.stream(prompt)) == expected[index]
        assert (await chat.ainvoke(prompt)).content == expected[index]
        chunks = [str(chunk.content) async for chunk in chat.astream(prompt)]
        assert "".join(chunks) == expected[index]
    assert [answer.content for answer in chat.batch(prompts)] == expected
    assert [answer.content for answer in await chat.abatch(prompts)] == expected


def test_invoke_carries_decision_name_finish_reason_and_usage(chat: ChatSafeCoDe) -> None:
    answer = chat.invoke(ask())
    metadata = answer.response_metadata
    decision = Decision.model_validate(metadata["guardrail"])
    assert decision.policy.name == "baseline"
    assert decision.verdict.label == "safe"
    assert metadata["model_name"] == chat.engine.model_name
    assert metadata["finish_reason"] == decision.outcome.finish_reason == "length"
    usage = answer.usage_metadata
    assert usage is not None
    assert usage["output_tokens"] == 8
    assert usage["total_tokens"] == usage["input_tokens"] + 8
    dumps(answer)  # plain JSON


def test_only_the_last_chunk_carries_metadata(chat: ChatSafeCoDe) -> None:
    *before, last = list(chat.stream(ask()))
    assert before
    for chunk in before:
        assert not chunk.response_metadata
        assert chunk.usage_metadata is None
        assert chunk.chunk_position is None
    assert last.chunk_position == "last"
    assert set(last.response_metadata) >= {"guardrail", "model_name", "finish_reason"}
    whole = AIMessageChunk("")
    for chunk in [*before, last]:
        whole = whole + chunk
    assert whole.response_metadata["guardrail"]["action"] == "comply"


def test_a_blocked_answer_streams_the_policys_words(chat: ChatSafeCoDe) -> None:
    blocking = policy("blocking", verdict=STRICT)
    chunks = list(chat.stream(ask("danger"), policy=blocking))
    text = "".join(str(chunk.content) for chunk in chunks)
    assert text
    assert chunks[-1].response_metadata["finish_reason"] == "blocked"
    assert chat.invoke(ask("danger"), policy=blocking).content == text


async def test_escalation_raises_everywhere(chat: ChatSafeCoDe) -> None:
    strict = {"policy": policy("strict", verdict=STRICT)}
    with pytest.raises(Escalation) as caught:
        chat.invoke(ask("unclear"), **strict)
    assert caught.value.decision.action == "escalate"
    with pytest.raises(Escalation):
        list(chat.stream(ask("unclear"), **strict))
    with pytest.raises(Escalation):
        await chat.ainvoke(ask("unclear"), **strict)
    with pytest.raises(Escalation):
        async for _ in chat.astream(ask("unclear"), **strict):
            pass


def test_text_that_is_not_in_the_answer_is_an_error() -> None:
    class Lying(ScriptedEngine):
        def _answer(self, text: str) -> Answer:
            return super()._answer("something else")

    with pytest.raises(GuardrailError, match="not in its answer"):
        list(ChatSafeCoDe(engine=Lying()).stream("hi"))


# Batches -----------------------------------------------------------------------------------------


def test_a_batch_is_one_batch_on_the_engine() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted, max_batch_size=4)
    answers = chat.batch([f"question {n}" for n in range(10)])
    assert [answer.content for answer in answers] == [f"question {n}" for n in range(10)]
    assert scripted.batches == [4, 4, 2]
    scripted.batches.clear()
    chat.batch([f"q{n}" for n in range(6)], {"max_concurrency": 3})
    assert scripted.batches == [3, 3]
    assert chat.batch([]) == []


async def test_abatch_is_one_batch_on_the_engine() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted, max_batch_size=4)
    answers = await chat.abatch([f"question {n}" for n in range(6)])
    assert [answer.content for answer in answers] == [f"question {n}" for n in range(6)]
    assert scripted.batches == [4, 2]
    assert await chat.abatch([]) == []


async def test_exceptions_stay_with_their_item() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted)
    prompts = ["fine", [HumanMessage([{"type": "video", "url": "x"}])], "poison", "also fine"]
    for answers in (
        chat.batch(prompts, return_exceptions=True),
        await chat.abatch(prompts, return_exceptions=True),
    ):
        assert answers[0].content == "fine"
        assert isinstance(answers[1], MessageError)
        assert isinstance(answers[2], RuntimeError)
        assert answers[3].content == "also fine"
    with pytest.raises((MessageError, RuntimeError)):
        chat.batch(prompts)
    with pytest.raises((MessageError, RuntimeError)):
        await chat.abatch(prompts)


async def test_one_escalation_does_not_cost_the_others_their_answers(chat: ChatSafeCoDe) -> None:
    strict = {"policy": policy("strict", verdict=STRICT)}
    prompts = [ask("hello"), ask("unclear"), ask("danger")]
    for answers in (
        chat.batch(prompts, return_exceptions=True, **strict),
        await chat.abatch(prompts, return_exceptions=True, **strict),
    ):
        assert answers[0].response_metadata["guardrail"]["action"] == "comply"
        assert isinstance(answers[1], Escalation)
        assert answers[2].response_metadata["guardrail"]["action"] == "block"


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.started = self.ended = self.failed = 0
        self.shown: list[Any] = []

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.started += 1

    def on_llm_end(self, response: Any, **__: Any) -> None:
        self.ended += 1
        self.shown.append(response.generations[0][0].message.response_metadata.get("guardrail"))

    def on_llm_error(self, *_: Any, **__: Any) -> None:
        self.failed += 1


def test_every_item_has_a_run_of_its_own() -> None:
    chat = ChatSafeCoDe(engine=ScriptedEngine())
    handlers = [Recorder(), Recorder()]
    configs: list[Any] = [{"callbacks": [handler]} for handler in handlers]
    video = [HumanMessage([{"type": "video", "url": "x"}])]
    chat.batch(["a", video], configs, return_exceptions=True)
    assert [(h.started, h.ended, h.failed) for h in handlers] == [(1, 1, 0), (1, 0, 1)]


async def test_every_run_shows_the_decision_of_its_answer(chat: ChatSafeCoDe) -> None:
    seen = Recorder()
    config: Any = {"callbacks": [seen]}
    answers: list[Any] = [chat.invoke(ask(), config), await chat.ainvoke(ask(), config)]
    answers.append([*chat.stream(ask(), config)][-1])
    answers.append([chunk async for chunk in chat.astream(ask(), config)][-1])
    answers += chat.batch([ask()], config)
    assert seen.shown == [answer.response_metadata["guardrail"] for answer in answers]
    assert len({decision["request_id"] for decision in seen.shown}) == 5


async def test_cached_items_do_not_hold_up_the_batch() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted, model="a-model", cache=InMemoryCache())
    chat.batch(["a"])
    chat.batch(["a", "b", "c"])
    assert scripted.batches == [1, 2]
    await chat.abatch(["a", "c", "d"])
    assert scripted.batches == [1, 2, 1]


async def test_requests_that_no_cache_may_answer_run_together_too() -> None:
    scripted = ScriptedEngine()
    remembering = policy("remembering", session={"memory": "max"})
    chat = ChatSafeCoDe(engine=scripted, model="m", cache=InMemoryCache(), policy=remembering)
    config: Any = {"configurable": {"thread_id": "mine"}}
    chat.batch(["a", "b", "c"], config)
    await chat.abatch(["a", "b", "c"], config)
    assert scripted.batches == [3, 3]


async def test_streaming_inside_a_batch_does_not_hold_it_up() -> None:
    chat = ChatSafeCoDe(engine=ScriptedEngine(), streaming=True)
    assert len(chat.batch(["a", "b", "c"])) == 3
    assert len(await chat.abatch(["a", "b", "c"])) == 3


def test_a_chain_is_batched_too() -> None:
    scripted = ScriptedEngine()
    prompt = ChatPromptTemplate.from_messages([("user", "about {x}")])
    chain = prompt | ChatSafeCoDe(engine=scripted)
    assert [a.content for a in chain.batch([{"x": 1}, {"x": 2}])] == ["about 1", "about 2"]
    assert scripted.batches == [2]


# Async -------------------------------------------------------------------------------------------


async def test_no_work_is_done_on_the_event_loop() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted)
    await chat.ainvoke("hi")
    await chat.abatch(["a", "b"])
    _ = [chunk async for chunk in chat.astream("hi")]
    assert threading.current_thread() not in scripted.threads
    assert len(scripted.threads) >= 2


async def test_the_event_loop_is_not_blocked() -> None:
    beats = 0

    class WaitingEngine(ScriptedEngine):
        """Says its next word once the event loop has gone on: one that is blocked never does."""

        def pause(self) -> None:
            before, deadline = beats, time.monotonic() + PATIENCE_S
            while beats == before:
                assert time.monotonic() < deadline, "the event loop stands still"
                time.sleep(0.001)

    chat = ChatSafeCoDe(engine=WaitingEngine(words=10))

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    beating = asyncio.create_task(heart())

    async def read() -> str:
        return "".join([str(chunk.content) async for chunk in chat.astream("hi")])

    texts = await asyncio.gather(*(read() for _ in range(8)))
    beating.cancel()
    assert set(texts) == {"".join(f"word{number} " for number in range(10))}


async def test_cancelling_the_task_stops_at_the_next_token() -> None:
    scripted = ScriptedEngine(words=NEVER_DONE, tick_s=0.01)
    chat = ChatSafeCoDe(engine=scripted)
    for start in (chat.ainvoke, chat.ainvoke):
        scripted.cancelled.clear()
        spoken = scripted.spoken
        task = asyncio.create_task(start("hi"))
        while scripted.spoken == spoken:  # under way
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(scripted.cancelled.wait, PATIENCE_S)


async def test_leaving_a_stream_stops_the_work() -> None:
    scripted = ScriptedEngine(words=NEVER_DONE, tick_s=0.01)
    stream = ChatSafeCoDe(engine=scripted).astream("hi")
    async for _ in stream:
        break
    await stream.aclose()
    assert await asyncio.to_thread(scripted.closed.wait, PATIENCE_S)
    assert scripted.spoken < NEVER_DONE


def test_leaving_a_blocking_stream_closes_the_engines() -> None:
    scripted = ScriptedEngine(words=1000)
    stream = ChatSafeCoDe(engine=scripted).stream("hi")
    next(stream)
    stream.close()
    assert scripted.closed.is_set()
    assert scripted.spoken == 1


def test_timeout() -> None:
    scripted = ScriptedEngine(words=NEVER_DONE, tick_s=0.01)
    chat = ChatSafeCoDe(engine=scripted, timeout=0.1)
    with pytest.raises(TimeoutError, match=r"0\.1 s"):
        chat.invoke("hi")
    assert scripted.closed.is_set()
    late = chat.batch(["a", "b"], return_exceptions=True)
    assert [type(answer) for answer in late] == [TimeoutError, TimeoutError]
    patient = ChatSafeCoDe(engine=ScriptedEngine(), timeout=60)
    assert patient.invoke("hi").content
    assert [answer.content for answer in patient.batch(["a", "b"])] == ["a", "b"]


async def test_cancelling_a_batch_stops_it() -> None:
    scripted = ScriptedEngine(words=NEVER_DONE, tick_s=0.01)
    task = asyncio.create_task(ChatSafeCoDe(engine=scripted).abatch(["a", "b"]))
    while not scripted.batches:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(scripted.cancelled.wait, PATIENCE_S)


# Settings ----------------------------------------------------------------------------------------


def settings(call: dict[str, Any] | None = None, **own: Any) -> GenerationSettings:
    scripted = ScriptedEngine()
    ChatSafeCoDe(engine=scripted, **own).invoke("hi", **(call or {}))
    return scripted.seen[0][0]


def test_settings_by_every_name() -> None:
    assert settings() == GenerationSettings()
    for name in ("max_tokens", "max_new_tokens"):
        assert settings(**{name: 7}).max_new_tokens == 7
        assert settings({name: 9}, max_tokens=7).max_new_tokens == 9
    for name in ("stop", "stop_sequences"):
        assert settings(**{name: ["a"]}).stop == ("a",)
    assert settings({"stop": ["b"]}, stop=["a"]).stop == ("b",)
    assert settings({"stop": []}, stop=["a"]).stop == ()
    assert settings(stop="ab").stop == ("ab",)
    full = settings(temperature=0.5, top_p=0.9, top_k=5, seed=3, do_sample=True)
    assert (full.temperature, full.top_p, full.top_k, full.seed, full.do_sample) == (
        0.5,
        0.9,
        5,
        3,
        True,
    )
    assert settings({"temperature": None}, temperature=0.5).temperature == 0.5
    assert settings({"repetition_penalty": 1.2}).extra == {"repetition_penalty": 1.2}
    assert settings(model_kwargs={"repetition_penalty": 1.2}).extra == {"repetition_penalty": 1.2}
    assert settings(model_kwargs={"temperature": 0.3, "top_k": 4}).temperature == 0.3
    with pytest.raises(SettingsError, match="twice"):
        settings(model_kwargs={"temperature": 0.3}, temperature=0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"zzz": 1}, "unknown generation setting 'zzz'"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 0}, "max_new_tokens"),
        ({"max_tokens": 1, "max_new_tokens": 2}, "given twice"),
        ({"temperature": 0, "do_sample": True}, "contradicts"),
        ({"stop": [1]}, "expected strings"),
        ({"stop": [""]}, "empty"),
        ({"num_beams": 2}, "beam"),
        ({"tools": [{"type": "web_search"}]}, "run by a provider"),
        ({"tool_choice": "any"}, "no tools are given"),
        ({"model": "other"}, "one chat model serves one model"),
        ({"response_format": {"type": "xml"}}, "expected 'type' text, json_object"),
        ({"response_format": {"type": "json_schema"}}, "with its 'schema'"),
    ],
)
def test_bad_settings_raise(call: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ChatSafeCoDe(engine=ScriptedEngine()).invoke("hi", **call)


def test_bad_settings_show_before_any_weights_are_loaded() -> None:
    with pytest.raises(SettingsError, match="temperature"):
        ChatSafeCoDe(model="/nowhere", temperature=-1)
    with pytest.raises(SettingsError, match="did you mean"):
        ChatSafeCoDe(model="/nowhere", model_kwargs={"repetition_penality": 1})
    with pytest.raises(ValidationError, match="temprature"):
        ChatSafeCoDe(model="/nowhere", temprature=1)
    with pytest.raises(PolicyError):
        ChatSafeCoDe(model="/nowhere", policy="no-such-policy")


def test_greedy_and_seeded_sampling(chat: ChatSafeCoDe) -> None:
    first = chat.invoke(ask(), temperature=1.5, seed=1).content
    assert first == chat.invoke(ask(), temperature=1.5, seed=1).content
    assert len({chat.invoke(ask(), temperature=1.5, seed=n).content for n in range(4)}) > 1


def test_stop_strings_end_the_answer(chat: ChatSafeCoDe) -> None:
    whole = str(chat.invoke(ask()).content)
    word = re.findall(r"[a-z]{2}", whole)[-1]  # random weights also speak broken UTF-8
    answer = chat.invoke(ask(), stop=[word])
    assert answer.content == whole[: whole.index(word)]
    assert answer.response_metadata["finish_reason"] == "stop"


# Policies ----------------------------------------------------------------------------------------


def write_policy(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"version: 1\nname: {name}\nextends: baseline\nverdict: {{on_unsafe: block}}\n",
        encoding="utf-8",
    )
    return path


def test_one_engine_serves_several_policies(tmp_path: Path) -> None:
    shared = engine()
    kids = ChatSafeCoDe(engine=shared, policy=write_policy(tmp_path, "kids"), max_tokens=4)
    paper = ChatSafeCoDe(engine=shared, policy="paper", max_tokens=4)
    own = ChatSafeCoDe(engine=shared, max_tokens=4)
    names = [
        chat.invoke(ask("danger")).response_metadata["guardrail"]["policy"]["name"]
        for chat in (kids, paper, own)
    ]
    assert names == ["kids", "paper", "baseline"]
    assert kids.engine is paper.engine


def test_a_changed_policy_file_is_in_force_for_the_next_request(tmp_path: Path) -> None:
    path = write_policy(tmp_path, "before")
    source = PolicyFile(path, interval_s=0)
    model, processor = build("llava")
    chats = [
        ChatSafeCoDe(engine=SafeCoDe(model=model, processor=processor, policy=source)),
        ChatSafeCoDe(model=model, processor=processor, policy=path),
    ]

    def names() -> list[str]:
        answers = [chat.invoke(ask("hello"), max_tokens=2) for chat in chats]
        return [str(a.response_metadata["guardrail"]["policy"]["name"]) for a in answers]

    assert names() == ["before", "before"]
    strings = [chat._get_llm_string() for chat in chats]
    path.write_text(path.read_text().replace("before", "after"))
    os.utime(path, (time.time() - 60, time.time() - 60))
    time.sleep(1.1)  # a watched path is looked at once a second
    assert names() == ["after", "after"]
    assert all(old != chat._get_llm_string() for old, chat in zip(strings, chats, strict=True))
    path.write_text("no: policy\n")
    os.utime(path, (time.time() - 50, time.time() - 50))
    time.sleep(1.1)
    assert names() == ["after", "after"]


async def test_a_selection_chooses_by_the_runs_metadata(tmp_path: Path) -> None:
    for name in ("kids", "others"):
        write_policy(tmp_path, name)
    selection = tmp_path / "selection.yaml"
    selection.write_text(
        "version: 1\nname: acme\nselect:\n"
        "  - when: {tenant: kids-app}\n    policy: ./kids.yaml\n"
        "  - policy: ./others.yaml\n"
    )
    cache = InMemoryCache()
    model, processor = build("llava")
    chat = ChatSafeCoDe(model=model, processor=processor, policy=selection, max_tokens=2)
    cached = ChatSafeCoDe(engine=chat.engine, cache=cache, max_tokens=2)
    kids: Any = {"metadata": {"tenant": "kids-app"}}

    def name(answer: Any) -> str:
        return str(answer.response_metadata["guardrail"]["policy"]["name"])

    for each in (chat, cached, cached):  # the third time out of the cache
        assert name(each.invoke(ask("hello"), kids)) == "kids"
        assert name(each.invoke(ask("hello"))) == "others"
        assert name(await each.ainvoke(ask("hello"), kids)) == "kids"
        assert name([*each.stream(ask("hello"), kids)][-1]) == "kids"
        chunks = [chunk async for chunk in each.astream(ask("hello"), kids)]
        assert name(chunks[-1]) == "kids"
        both = each.batch([ask("hello"), ask("hello")], [kids, {}])
        assert [name(answer) for answer in both] == ["kids", "others"]
    answer = chat.engine.answer(question("hello"), metadata={"tenant": "kids-app"})
    assert answer.decision.policy.name == "kids"


async def test_policy_is_a_configurable_field(tmp_path: Path) -> None:
    kids = str(write_policy(tmp_path, "kids"))
    chat = ChatSafeCoDe(engine=engine(), max_tokens=4)
    model = chat.configurable_fields(policy=ConfigurableField(id="policy"))
    config: Any = {"configurable": {"policy": kids}}

    def name(answer: Any) -> str:
        return str(answer.response_metadata["guardrail"]["policy"]["name"])

    assert name(model.invoke(ask("danger"))) == "baseline"
    assert name(model.invoke(ask("danger"), config)) == "kids"
    assert name(await model.ainvoke(ask("danger"), config)) == "kids"
    assert name(model.with_config(config).invoke(ask("danger"))) == "kids"
    assert name(list(model.stream(ask("danger"), config))[-1]) == "kids"
    assert name([chunk async for chunk in model.astream(ask("danger"), config)][-1]) == "kids"
    mixed = model.batch([ask("danger"), ask("danger")], [config, {}])
    assert [name(answer) for answer in mixed] == ["kids", "baseline"]
    mixed = await model.abatch([ask("danger"), ask("danger")], [config, {}])
    assert [name(answer) for answer in mixed] == ["kids", "baseline"]
    assert name(model.invoke(ask("danger"), {"configurable": {"policy": "strict"}})) == "strict"
    prepared, _ = model._prepare(config)  # type: ignore[attr-defined]
    assert prepared.engine is chat.engine  # no weights are loaded again


def test_a_policy_is_not_configurable_unless_the_developer_says_so() -> None:
    scripted = ScriptedEngine()
    ChatSafeCoDe(engine=scripted).invoke("hi", {"configurable": {"policy": "paper"}})
    assert scripted.seen[0][1] == "baseline"


def test_mode_per_model_and_per_call() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted, mode="shadow")
    chat.invoke("hi")
    chat.invoke("hi", mode="off")
    chat.bind(mode="enforce").invoke("hi")
    assert [mode for _, _, mode in scripted.seen] == ["shadow", "off", "enforce"]


# What LangChain asks -----------------------------------------------------------------------------


def test_langsmith_parameters(chat: ChatSafeCoDe) -> None:
    params = chat._get_ls_params(stop=["x"])
    assert params["ls_provider"] == "safecode"
    assert params["ls_model_name"] == chat.engine.model_name
    assert (params["ls_temperature"], params["ls_max_tokens"], params["ls_stop"]) == (0, 8, ["x"])
    override = chat._get_ls_params(model="other", temperature=1, max_new_tokens=3)
    assert override["ls_model_name"] == "other"
    assert (override["ls_temperature"], override["ls_max_tokens"]) == (1, 3)


def test_identifying_parameters_and_profile(chat: ChatSafeCoDe) -> None:
    identity = chat.asdict()
    assert identity["_type"] == "safecode"
    assert identity["policy"] == {
        "name": "baseline",
        "version": 1,
        "digest": chat.engine.policy.digest,
    }
    profile: Any = chat.profile
    assert profile["image_inputs"]
    assert not profile["tool_calling"]
    assert not profile["image_url_inputs"]
    assert profile["max_input_tokens"] > 0
    model, processor = build("llava")
    assert ChatSafeCoDe(model=model, processor=processor).profile == profile


def test_tokens_are_counted_by_the_models_own_tokenizer(chat: ChatSafeCoDe) -> None:
    assert chat.get_num_tokens("hello there") == len(chat.get_token_ids("hello there")) > 1


def test_a_model_in_memory_is_not_written_down() -> None:
    model, processor = build("llava")
    chat = ChatSafeCoDe(model=model, processor=processor, judge=judge, api_key="canary")
    written = dumpd(chat)
    assert written["type"] == "not_implemented"
    assert "canary" not in str(written) + repr(chat)
    assert "tensor" not in str(written)
    assert len(str(written)) < 1000
    assert chat.cache is False


def test_what_is_written_down_holds_no_secret_and_loses_nothing(tmp_path: Path) -> None:
    path = write_policy(tmp_path, "kids")
    shared = engine()
    chat = ChatSafeCoDe(model="some/model", engine=shared, policy=path, temperature=0, stop=["x"])
    written = dumpd(chat)
    assert written["type"] == "constructor"
    expected = {"model": "some/model", "policy": str(path), "temperature": 0.0, "stop": ["x"]}
    assert {name: written["kwargs"][name] for name in expected} == expected
    assert "engine" not in written["kwargs"]
    inline = ChatSafeCoDe(model="some/model", engine=shared, policy=policy("inline"))
    rebuilt = Policy.model_validate(dumpd(inline)["kwargs"]["policy"])
    assert rebuilt.digest == policy("inline").digest
    for kept_in_memory in (
        {"judge": judge},
        {"load_kwargs": {"token": "canary"}},
        {"model_kwargs": {"logits_processor": [object()]}},
    ):
        chat = ChatSafeCoDe(model="some/model", engine=shared, **kept_in_memory)
        assert dumpd(chat)["type"] == "not_implemented"
        assert "canary" not in str(dumpd(chat))


def test_what_is_written_down_can_be_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("llava", tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    chat = ChatSafeCoDe.from_pretrained(
        "tiny", policy=policy("inline", verdict=STRICT), temperature=0, stop="x", dtype="float32"
    )
    text = dumps(chat)
    with pytest.warns(LangChainBetaWarning):
        again = loads(text, allowed_objects=[ChatSafeCoDe], valid_namespaces=["guardrail"])
    assert again.asdict() == chat.asdict()
    assert again.policy == chat.policy
    assert again.load_kwargs == {"dtype": "float32"}


def test_a_cache_never_mixes_policies() -> None:
    cache, scripted = InMemoryCache(), ScriptedEngine()
    first = ChatSafeCoDe(model="m", engine=scripted, cache=cache, policy=policy("one"))
    again = ChatSafeCoDe(model="m", engine=scripted, cache=cache, policy=policy("one"))
    other = ChatSafeCoDe(
        model="m", engine=scripted, cache=cache, policy=policy("one", verdict=STRICT)
    )
    for chat in (first, again, other):
        chat.invoke("hi")
    assert len(scripted.seen) == 2


async def test_a_picture_named_by_its_path_is_never_answered_from_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "seen.png"
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(model="m", engine=scripted, cache=InMemoryCache())
    held = ask("what?", 0)
    for block in (
        {"type": "image", "url": str(path)},
        {"type": "image_url", "image_url": str(path)},
    ):
        scripted.seen.clear()
        for seed in range(3):
            picture(seed).save(path)
            chat.invoke([HumanMessage([block])])
            await chat.ainvoke([HumanMessage([block])])
        assert len(scripted.seen) == 6
    scripted.seen.clear()
    for _ in range(3):
        chat.invoke(held)
    assert len(scripted.seen) == 1


# Making one --------------------------------------------------------------------------------------


def test_without_arguments_it_is_the_embedded_model_under_baseline() -> None:
    chat = ChatSafeCoDe()
    answer = chat.invoke(ask("What is in this picture?"))
    assert answer.content
    decision = Decision.model_validate(answer.response_metadata["guardrail"])
    assert decision.policy.name == "baseline"
    assert decision.verdict.source == "self"
    written = dumpd(chat)
    assert written["type"] == "constructor"
    assert written["kwargs"]["model"] == "embedded"


def test_a_loaded_model_needs_its_processor() -> None:
    with pytest.raises(ModelError, match="processor"):
        ChatSafeCoDe(model=build("llava")[0])
    with pytest.raises(ModelError, match="embedded"):
        ChatSafeCoDe(processor=build("llava")[1])


def test_what_a_given_engine_would_ignore_is_refused() -> None:
    model, processor = build("llava")
    with pytest.raises(ModelError, match="no judge"):
        ChatSafeCoDe(engine=SafeCoDe(model=model, processor=processor), judge=judge)
    with pytest.raises(ModelError, match="processor"):
        ChatSafeCoDe(engine=engine(), processor=object())


def test_from_pretrained_sorts_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def load(path: str, **options: Any) -> ScriptedEngine:
        seen.update(options, path=path)
        return ScriptedEngine()

    monkeypatch.setattr(SafeCoDe, "from_pretrained", load)
    chat = ChatSafeCoDe.from_pretrained(
        Path("some/model"), policy="paper", max_new_tokens=3, dtype="bfloat16", device_map="cpu"
    )
    assert (chat.model, chat.max_tokens) == ("some/model", 3)
    assert seen["path"] == "some/model"
    assert seen["policy"] == "paper"
    assert (seen["dtype"], seen["device_map"]) == ("bfloat16", "cpu")
    assert "max_new_tokens" not in seen


def test_a_missing_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        ChatSafeCoDe.from_pretrained(tmp_path / "nothing-here")


def test_wrong_messages_raise_before_the_model_runs() -> None:
    scripted = ScriptedEngine()
    with pytest.raises(MessageError, match="'audio'"):
        ChatSafeCoDe(engine=scripted).invoke([HumanMessage([{"type": "audio", "url": "x"}])])
    assert not scripted.seen


def test_history_with_answers_goes_back_in(chat: ChatSafeCoDe) -> None:
    first = chat.invoke(ask())
    assert isinstance(first, AIMessage)
    again = chat.invoke([*ask(), first, HumanMessage("and now?")])
    assert again.content
