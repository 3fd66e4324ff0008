"""What guarding costs on a server: against the same server unguarded, interleaved in one run.

Every answer is about a picture of its own, so that no prompt is in the server's cache beforehand,
guarded or not. Neither torch nor transformers is loaded.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.bench.pinned import pinned, sample_picture
from guardrail.bench.rounds import Progress, interleaved
from guardrail.bench.spread import Spread
from guardrail.errors import GuardrailError
from guardrail.request.conversation import Conversation, question
from guardrail.request.delta import Delta
from guardrail.request.settings import ONE_TOKEN, GenerationSettings
from guardrail.steering.safecode import SafeCoDe

_EACH = 4
"""Answers to each client, where there are several."""

_SIDE = 448
_QUESTION = "Please describe what this picture shows, as you would to a friend."
"""Few models are about to refuse it, so that nothing is at stake where that is to be measured."""


@dataclass(frozen=True)
class ServedPlan:
    """What is to be measured.

    Attributes:
        base_url: The server, up to and with `/v1`.
        model: By which name it knows the model; its only one without it.
        api_key: The server's.
        new_tokens: Lengths of answers.
        repeats: Rounds, after one that only warms up.
        clients: Also: what so many clients get through at once; 0 leaves it out.
    """

    base_url: str
    model: str | None = None
    api_key: str | None = None
    new_tokens: Sequence[int] = (16, 64)
    repeats: int = 10
    clients: int = 0


@dataclass(frozen=True)
class ServedTiming:
    """One kind of answer at one length; `ratio` is wall time over the plain answer's."""

    variant: str
    new_tokens: int
    wall_s: Spread
    first_token_s: Spread
    ratio: Spread


@dataclass(frozen=True)
class ServedLoad:
    """What several clients get through at once; `ratio` is answers a second over plain ones'."""

    variant: str
    clients: int
    requests: int
    new_tokens: int
    per_s: float
    ratio: float


@dataclass(frozen=True)
class ServedReport:
    """What was measured, and on what."""

    server: dict[str, Any]
    repeats: int
    timings: list[ServedTiming]
    loads: list[ServedLoad]

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Answered:
    wall_s: float
    first_token_s: float


_Answer = Callable[[Conversation, int], _Answered]


def bench_server(plan: ServedPlan, *, progress: Progress) -> ServedReport:
    """Returns what guarding costs on a server.

    Raises:
        GuardrailError: The server cannot be asked, or does not do what is measured.
    """
    client = ServerClient(plan.base_url, api_key=plan.api_key)
    backend = ServerBackend(client, plan.model)
    found = backend.capabilities
    engine = SafeCoDe(backend=backend)
    asked = (question(_QUESTION, [sample_picture(_SIDE, at)]) for at in itertools.count())
    policies = pinned()
    first = engine.answer(next(asked), ONE_TOKEN, policy=policies.skipped)
    policies = policies.settled(first.decision)
    variants: dict[str, _Answer] = {
        "plain": partial(_answered, engine, mode="off"),
        "always": partial(_answered, engine, policy=policies.always),
        "skipped": partial(_answered, engine, policy=policies.skipped),
    }
    timings = [
        timing
        for count in plan.new_tokens
        for timing in _timed(variants, asked, count, plan.repeats, progress)
    ]
    loads = _loaded(variants, asked, plan, progress) if plan.clients else []
    server = {
        "url": client.base_url,
        "model": found.model,
        "dialect": found.dialect.name,
        "degraded": list(found.degraded),
    }
    return ServedReport(server, plan.repeats, timings, loads)


def _timed(
    variants: dict[str, _Answer],
    asked: Iterator[Conversation],
    new_tokens: int,
    repeats: int,
    progress: Progress,
) -> Iterator[ServedTiming]:
    answers = {
        name: partial(_of_next, answer, asked, new_tokens) for name, answer in variants.items()
    }
    what = f"{new_tokens} tokens"
    runs = interleaved(answers, repeats=repeats, what=what, progress=progress)
    for name, made in runs.items():
        rounds = zip(made, runs["plain"], strict=True)
        yield ServedTiming(
            name,
            new_tokens,
            Spread.of([each.wall_s for each in made]),
            Spread.of([each.first_token_s for each in made]),
            Spread.of([each.wall_s / plain.wall_s for each, plain in rounds]),
        )


def _of_next(answer: _Answer, asked: Iterator[Conversation], new_tokens: int) -> _Answered:
    return answer(next(asked), new_tokens)


def _loaded(
    variants: dict[str, _Answer],
    asked: Iterator[Conversation],
    plan: ServedPlan,
    progress: Progress,
) -> list[ServedLoad]:
    count = max(plan.new_tokens)
    rates: dict[str, float] = {}
    for name, answer in variants.items():
        progress(f"{plan.clients} clients, {name}")
        given = list(itertools.islice(asked, _EACH * plan.clients))
        with ThreadPoolExecutor(plan.clients) as clients:
            started = time.perf_counter()
            list(clients.map(answer, given, itertools.repeat(count)))
            rates[name] = len(given) / (time.perf_counter() - started)
    return [
        ServedLoad(name, plan.clients, _EACH * plan.clients, count, rate, rate / rates["plain"])
        for name, rate in rates.items()
    ]


def _exactly(new_tokens: int) -> GenerationSettings:
    """Greedy, and exactly so many tokens, where the server lets that be asked for."""
    return GenerationSettings(max_new_tokens=new_tokens, temperature=0, extra={"ignore_eos": True})


def _answered(engine: SafeCoDe, about: Conversation, new_tokens: int, **how: Any) -> _Answered:
    started = time.perf_counter()
    first: float | None = None
    for event in engine.stream(about, _exactly(new_tokens), **how):
        now = time.perf_counter() - started
        first = first or now
        if isinstance(event, Delta):
            continue
        decision = event.decision
        made = decision.outcome.output_tokens
        if made != new_tokens:
            raise GuardrailError(f"the server gave {made} tokens instead of {new_tokens}")
        if decision.errors:
            raise GuardrailError(f"the server cannot be measured: {'; '.join(decision.errors)}")
        return _Answered(now, first)
    raise AssertionError("a stream ends with its answer")


def show_served(report: ServedReport, console: Console) -> None:
    """Prints the report as tables."""
    server = report.server
    console.print(
        f"[bold]{server['model']}[/bold] at {server['url']} ({server['dialect']}), medians of "
        f"{report.repeats} (range), every answer about a picture of its own"
    )
    table = Table("answer", "new tokens", "time (s)", "× plain", "first token (s)")
    for each in report.timings:
        spreads = (each.wall_s, each.ratio, each.first_token_s)
        table.add_row(each.variant, str(each.new_tokens), *map(str, spreads))
    console.print(table)
    for load in report.loads:
        console.print(
            f"{load.clients} clients, {load.variant}: {load.per_s:.2f} answers of "
            f"{load.new_tokens} tokens a second, {load.ratio:.2f} of plain ({load.requests})"
        )
