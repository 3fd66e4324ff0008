"""Caches: asked for, on record, and never a place for what came of a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrail import ChatSafeCoDe, Decision, SafeCoDe
from guardrail.errors import AuditError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord
from guardrail.record.keys import AuditKey, new_key
from guardrail.record.telemetry.tracing import Tracing
from tests.chat.test_chat_model import STRICT, ScriptedEngine, ask, judge, policy
from tests.families import build

KEY: AuditKey = new_key()


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAIL_AUDIT_KEY", KEY.spell())
    monkeypatch.delenv("GUARDRAIL_AUDIT_LOG", raising=False)


@pytest.fixture
def shared_cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


class Flaky:
    """A judge that fails until it is mended."""

    def __init__(self) -> None:
        self.broken, self.asked = True, 0

    def __call__(self, request: Any) -> float:
        self.asked += 1
        if self.broken:
            raise RuntimeError("no idea")
        return judge(request)


def guarded(log: Path, judge_: Any = judge, **options: Any) -> SafeCoDe:
    model, processor = build("llava")
    audited = policy("audited", verdict=STRICT, audit={"path": str(log)})
    return SafeCoDe(model=model, processor=processor, judge=judge_, policy=audited, **options)


def records(log: Path) -> list[AuditRecord]:
    with LogReader(log) as reader:
        return list(reader.records(Filter()))


def decision(answer: Any) -> Decision:
    return Decision.model_validate(answer.response_metadata["guardrail"])


async def test_the_global_cache_alone_caches_nothing(
    shared_cache: InMemoryCache, log: Path
) -> None:
    by_name = ChatSafeCoDe(engine=guarded(log), model="m", max_tokens=2)
    in_memory = ChatSafeCoDe(engine=by_name.engine, max_tokens=2)
    for chat in (by_name, in_memory):
        chat.invoke(ask())
        chat.invoke(ask())
        await chat.ainvoke(ask())
        chat.batch([ask(), ask()])
    assert len(records(log)) == 10
    assert not shared_cache._cache


@pytest.mark.parametrize("given", [True, "own"])
async def test_a_cached_answer_is_on_record(
    shared_cache: InMemoryCache, log: Path, given: Any
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(tracer=provider.get_tracer("t"))
    cache = shared_cache if given is True else InMemoryCache()
    chat = ChatSafeCoDe(
        engine=guarded(log, tracing=tracing),
        model="m",
        max_tokens=2,
        cache=True if given is True else cache,
    )
    first = chat.invoke(ask())
    again = [chat.invoke(ask()), await chat.ainvoke(ask()), *chat.batch([ask(), ask("danger")])]
    assert [each.content for each in again[:3]] == [first.content] * 3
    found = [each.decision for each in records(log)]
    assert [each and each.cached_from for each in found] == [
        None,
        *[decision(first).request_id] * 3,
        None,
    ]
    assert [decision(each).request_id for each in again[:3]] == [
        each.request_id for each in found[1:4] if each
    ]
    assert len({each.request_id for each in found if each}) == 5
    assert decision(again[3]).action == "block"
    spans = [each for each in exporter.get_finished_spans() if each.name.startswith("chat ")]
    assert len(spans) == 5
    from_cache = [(each.attributes or {}).get("guardrail.cached_from") for each in spans]
    assert from_cache.count(decision(first).request_id) == 3
    assert verify_path(log, KEY).ok
    # What the cache holds stays what it was.
    [kept] = next(iter(cache._cache.values()))
    assert decision(kept.message).cached_from is None  # type: ignore[attr-defined]


def test_the_policys_words_may_be_cached_and_are_on_record(log: Path) -> None:
    chat = ChatSafeCoDe(engine=guarded(log), model="m", cache=InMemoryCache())
    first, again = chat.invoke(ask("danger")), chat.invoke(ask("danger"))
    assert first.content == again.content
    assert [each.decision.action for each in records(log) if each.decision] == ["block"] * 2


async def test_a_block_that_came_of_a_failed_judge_is_not_cached(log: Path) -> None:
    flaky = Flaky()
    chat = ChatSafeCoDe(engine=guarded(log, flaky), model="m", max_tokens=2, cache=InMemoryCache())
    assert decision(chat.invoke(ask())).action == "block"
    assert decision(await chat.ainvoke(ask())).action == "block"
    assert decision(chat.batch([ask()])[0]).action == "block"
    assert flaky.asked == 3
    flaky.broken = False
    assert decision(chat.invoke(ask())).action == "comply"
    asked = flaky.asked
    assert decision(chat.invoke(ask())).cached_from is not None
    assert flaky.asked == asked > 3


@pytest.mark.parametrize(
    "left",
    [
        Generation(text="no decision at all"),
        ChatGeneration(message=AIMessage("no decision")),
        ChatGeneration(message=AIMessage("odd", response_metadata={"guardrail": {"a": 1}})),
        ChatGeneration(message=AIMessage("odd", response_metadata={"guardrail": "allowed"})),
        "failed judge",
    ],
)
def test_what_a_cache_holds_of_old_is_no_answer_unless_somebody_vouches_for_it(
    log: Path, left: Any
) -> None:
    class Old(InMemoryCache):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            return [left]

    flaky = Flaky()
    engine = guarded(log, flaky)
    if left == "failed judge":
        failed = ChatSafeCoDe(engine=engine).invoke(ask())
        left = ChatGeneration(message=failed)
    flaky.broken = False
    answer = ChatSafeCoDe(engine=engine, model="m", max_tokens=2, cache=Old()).invoke(ask())
    assert decision(answer).action == "comply"
    assert decision(answer).cached_from is None


async def test_a_cached_answer_whose_record_cannot_be_kept_is_not_given(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        broken = False

        def opened(self, *_: Any) -> None:
            """Nothing of it is kept."""

        def concluded(self, *_: Any) -> None:
            if self.broken:
                raise AuditError("the disk is full")

    observer = Full()
    engine = guarded(log, observer=observer)
    chat = ChatSafeCoDe(engine=engine, model="m", max_tokens=2, cache=InMemoryCache())
    chat.invoke(ask())
    observer.broken = True
    with pytest.raises(AuditError):
        chat.invoke(ask())
    with pytest.raises(AuditError):
        await chat.ainvoke(ask())
    lenient = policy("audited", verdict=STRICT, audit={"path": str(log), "on_error": "continue"})
    chat.policy = lenient
    observer.broken = False
    chat.invoke(ask())
    observer.broken = True
    again = decision(chat.invoke(ask()))
    assert again.cached_from is not None
    assert "could not be written" in again.errors[-1]


def test_a_cache_that_is_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no cache found"):
        ChatSafeCoDe(engine=ScriptedEngine(), model="m", cache=True).invoke("hi")
