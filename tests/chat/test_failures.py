"""A request that fails before it can be judged is traced and on record, once, without its words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from guardrail import ChatSafeCoDe, Guard, Policy, SafeCoDe
from guardrail.cli import main
from guardrail.errors import MessageError, PictureError, PolicyError, SettingsError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.failures import failures
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord
from guardrail.record.keys import AuditKey, new_key
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import question
from tests.chat.test_chat_model import ask, judge, policy
from tests.families import build

KEY: AuditKey = new_key()
CANARY = "zq-canary-7f3a91"
TEXT = {"type": "text", "text": CANARY}


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAIL_AUDIT_KEY", KEY.spell())
    monkeypatch.delenv("GUARDRAIL_AUDIT_LOG", raising=False)


class Watched:
    """A chat model whose spans and records can be looked at."""

    def __init__(self, log: Path, **changes: Any) -> None:
        self.log, self.exporter = log, InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("t")
        model, processor = build("llava")
        rules: Policy = policy("watched", audit={"path": str(log)}, **changes)
        self.engine = SafeCoDe(
            model=model,
            processor=processor,
            judge=judge,
            policy=rules,
            tracing=Tracing(tracer=self.tracer),
        )
        self.chat = ChatSafeCoDe(engine=self.engine, max_tokens=2)

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def records(self) -> list[AuditRecord]:
        if not self.log.exists():
            return []
        with LogReader(self.log) as reader:
            [[last]] = reader.select("SELECT max(seq) FROM records", [])
            found = [reader.record(seq) for seq in range(1, last + 1)]
        return [each for each in found if each is not None]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "audit.db")


def picture(**block: Any) -> list[Any]:
    return [HumanMessage([{"type": "image", **block}, TEXT])]


BROKEN = picture(base64="aGVsbG8=", mime_type="image/png")
REQUESTS: dict[str, tuple[Any, dict[str, Any], type[Exception]]] = {
    "unreadable picture": (BROKEN, {}, PictureError),
    "missing picture": (picture(url=f"/{CANARY}.png"), {}, PictureError),
    "address": (picture(url=f"https://{CANARY}.example/a.png"), {}, PictureError),
    "audio": ([HumanMessage([{"type": "audio", "url": CANARY}])], {}, MessageError),
    "unknown block": ([HumanMessage([{"type": CANARY}])], {}, MessageError),
    "no message": (17, {}, ValueError),
    "unknown role": ([{"role": CANARY, "content": "x"}], {}, Exception),
    "setting": (ask(CANARY), {"temperature": -3}, SettingsError),
    "unknown setting": (ask(CANARY), {CANARY.replace("-", "_"): 1}, SettingsError),
    "mode": (ask(CANARY), {"mode": CANARY}, SettingsError),
    "policy": (ask(CANARY), {"policy": f"no-{CANARY}"}, PolicyError),
    "review": (ask(CANARY), {"review": {"word": CANARY}}, SettingsError),
    "tool choice": (ask(CANARY), {"tool_choice": CANARY}, SettingsError),
}


async def collected(stream: Any) -> list[Any]:
    return [each async for each in stream]


WAYS: dict[str, Callable[..., Any]] = {
    "invoke": lambda chat, asked, options: chat.invoke(asked, **options),
    "stream": lambda chat, asked, options: list(chat.stream(asked, **options)),
    "batch": lambda chat, asked, options: chat.batch([asked], **options),
    "ainvoke": lambda chat, asked, options: asyncio.run(chat.ainvoke(asked, **options)),
    "astream": lambda chat, asked, options: asyncio.run(collected(chat.astream(asked, **options))),
    "abatch": lambda chat, asked, options: asyncio.run(chat.abatch([asked], **options)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", REQUESTS)
def test_every_failure_leaves_one_span_and_one_record(
    watched: Watched, name: str, way: Callable[..., Any]
) -> None:
    asked, options, kind = REQUESTS[name]
    with pytest.raises(kind) as caught:
        way(watched.chat, asked, options)
    [span] = watched.spans()
    assert span.name == "chat LlavaForConditionalGeneration"
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == type(caught.value).__name__
    [record] = watched.records()
    assert record.kind == "failed"
    failure = record.failure
    assert failure is not None
    assert failure.error_type == type(caught.value).__name__
    assert failure.trace_id == f"{span.context.trace_id:032x}"
    assert (span.attributes or {})["guardrail.request_id"] == failure.request_id
    assert CANARY not in record.body() + span.to_json()
    assert CANARY not in watched.log.read_bytes().decode("latin-1")
    assert verify_path(watched.log, KEY).ok
    if name not in ("policy", "no message", "unknown role"):
        assert failure.policy is not None
        assert failure.policy.name == "watched"


def test_one_bad_item_of_a_batch_has_a_record_beside_its_neighbours(watched: Watched) -> None:
    watched.chat.batch([ask("fine"), BROKEN, ask("danger")], return_exceptions=True)
    kinds = sorted(each.kind for each in watched.records())
    assert kinds == ["decision", "decision", "failed", "opened", "opened"]
    assert len([each for each in watched.spans() if each.name.startswith("chat ")]) == 3


def test_the_engine_and_the_guard_record_theirs(watched: Watched) -> None:
    with pytest.raises(PolicyError):
        watched.engine.answer(question("hi"), policy="no-such-policy")
    with pytest.raises(SettingsError):
        watched.engine.batch([question("hi")], mode="sometimes")  # type: ignore[arg-type]
    with pytest.raises(SettingsError):
        watched.engine.ask("hi", temperature=-1)
    guard = Guard(policy=watched.engine.policy, judge=judge, tracing=watched.engine.tracing)
    with pytest.raises(PolicyError):
        guard.decide(question("hi"), policy="no-such-policy")
    found = [each.failure for each in watched.records()]
    assert [each.operation for each in found if each] == [*["chat"] * 3, "apply_guardrail"]
    assert len(watched.spans()) == 4


def test_words_are_kept_where_the_policy_captures_content(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "audit.db", capture={"content": True})
    with pytest.raises(MessageError):
        watched.chat.invoke(REQUESTS["unknown block"][0])
    [record] = watched.records()
    assert record.failure is not None
    assert CANARY in str(record.failure.detail)


def test_under_somebody_elses_chat_span_one_of_ours_says_so(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("chat theirs"), pytest.raises(PictureError):
        watched.chat.invoke(BROKEN)
    ours, theirs = watched.spans()
    assert (ours.name, theirs.name) == ("guardrail.verdict", "chat theirs")
    assert (ours.attributes or {})["error.type"] == "PictureError"


def test_a_log_that_cannot_be_written_hides_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(tmp_path / "missing" / "folder" / "audit.db")
    with pytest.raises(PictureError):
        watched.chat.invoke(BROKEN)
    assert "its record could not be kept" in caplog.text
    assert len(watched.spans()) == 1


def test_an_observer_that_knows_no_failures_still_works(tmp_path: Path) -> None:
    class Old:
        def opened(self, *_: Any) -> None:
            """Nothing of it is kept."""

        concluded = opened

    watched = Watched(tmp_path / "audit.db")
    watched.engine.observer = Old()
    with pytest.raises(PictureError):
        watched.chat.invoke(BROKEN)
    assert len(watched.spans()) == 1


# The command line --------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_failures_are_listed_shown_counted_and_exported(
    watched: Watched, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    watched.chat.invoke(ask("fine"))
    for name in ("unreadable picture", "audio", "policy"):
        with pytest.raises(REQUESTS[name][2]):
            watched.chat.invoke(REQUESTS[name][0], **REQUESTS[name][1])
    watched.chat.invoke(ask("danger"))
    log = watched.log
    with LogReader(log) as reader:
        listed = failures(reader, Filter())
        assert failures(reader, Filter(action="block")) == []
        assert [each.error for each in failures(reader, Filter(policy="watched"))] == [
            "MessageError",
            "PictureError",
        ]
    assert [each.error for each in listed] == ["PolicyError", "MessageError", "PictureError"]
    status, out, _ = run(capsys, "audit", "tail", log, "--json")
    assert status == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [each["action"] for each in lines] == ["comply", "failed", "failed", "failed", "refuse"]
    assert run(capsys, "audit", "tail", log)[1].count("failed") == 3
    assert len(run(capsys, "audit", "tail", log, "--action", "failed")[1].splitlines()) == 4
    assert len(run(capsys, "audit", "tail", log, "-n", "2")[1].splitlines()) == 3
    for reference in (listed[2].seq, listed[2].request, listed[2].request[:8]):
        status, out, _ = run(capsys, "audit", "show", log, reference)
        assert status == 0
        assert "PictureError: a picture cannot be read" in out
    assert run(capsys, "audit", "show", log, lines[0]["request"])[0] == 0
    assert run(capsys, "audit", "show", log, "no-such")[0] == 2
    stats = json.loads(run(capsys, "audit", "stats", log, "--json")[1])
    assert stats["failures"] == {"MessageError": 1, "PictureError": 1, "PolicyError": 1}
    assert stats["decisions"] == 2
    assert "3 requests failed" in run(capsys, "audit", "stats", log)[1]
    for form in ("jsonl", "parquet"):
        file = tmp_path / f"out.{form}"
        assert run(capsys, "audit", "export", log, file)[0] == 0
        assert run(capsys, "audit", "verify", file)[0] == 0
        assert run(capsys, "audit", "import", file, tmp_path / f"{form}.db")[0] == 0
    assert run(capsys, "audit", "report", log, "--out", tmp_path / "r.html")[0] == 0
    assert run(capsys, "audit", "replay", log, "--policy", "baseline")[0] == 0
    assert run(capsys, "audit", "prune", log, "--older-than", "1d")[1].startswith("0 records")
    assert run(capsys, "audit", "prune", log, "--keep", "2")[0] == 0
    assert run(capsys, "audit", "verify", log)[0] == 0


def test_a_record_of_the_first_version_is_still_read() -> None:
    old = {"version": 1, "seq": 3, "time": "2026-01-01T00:00:00.000Z", "kind": "decision"}
    assert AuditRecord.model_validate(old).version == 1
    assert json.loads(AuditRecord.model_validate(old).body()) == old


@pytest.mark.parametrize(
    ("arguments", "error", "policy_name"),
    [
        (["hi", "-i", f"{CANARY}.png"], "PictureError", "baseline"),
        (["hi", "--policy", f"{CANARY}.yaml"], "PolicyError", None),
        (["hi", "--temperature", "-1"], "SettingsError", "baseline"),
        (["hi", "--mode", CANARY, "--policy", "strict"], "SettingsError", "strict"),
        (["  "], "MessageError", "baseline"),
        (["hi", "--model", f"./{CANARY}"], "ModelError", "baseline"),
    ],
)
def test_what_fails_before_ask_has_a_model_is_on_record(
    arguments: list[str],
    error: str,
    policy_name: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "audit.db"
    monkeypatch.setenv("GUARDRAIL_AUDIT_LOG", str(log))
    assert run(capsys, "ask", *arguments)[0] == 2
    with LogReader(log) as reader:
        [found] = failures(reader, Filter())
        record = reader.record(found.seq)
    assert (found.error, found.policy) == (error, policy_name or "")
    assert record is not None
    assert error == "ModelError" or CANARY not in record.body()
