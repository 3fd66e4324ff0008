"""Asks every system every sample, in batches, and records the answers.

A batch of which only a part was kept is asked again as a whole, so that a run that goes on where
another one stopped gets the same answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from guardrail.errors import Escalation
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.requests import batches, conversation_of, unhurried
from guardrail.evaluation.results import Reading, Record, Results, Step
from guardrail.evaluation.systems.system import Ask, System
from guardrail.evaluation.turns import turned_at
from guardrail.policy.terms import CLEARING, Act, Mode
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

Progress = Callable[[System, int], None]


def run(
    engine: SafeCoDe,
    dataset: Dataset,
    systems: Sequence[System],
    results: Results,
    *,
    settings: GenerationSettings | None = None,
    batch: int = 16,
    progress: Progress = lambda system, answered: None,
) -> None:
    """Answers what `results` does not hold yet.

    Args:
        engine: The model.
        dataset: What is asked. Blank samples are asked of `unguarded` alone.
        systems: Each answers every sample.
        results: Where the answers go, after each batch.
        settings: How to decode, the same for all; greedy by default.
        batch: How many requests run together, >= 1.
        progress: Called after each batch with the system and how many were answered.

    Raises:
        GuardrailError: A request cannot be served; what was answered before is kept.
    """
    settings = settings or GenerationSettings(temperature=0)
    for system in systems:
        patient = replace(system, policy=unhurried(system.policy))
        ask = patient.asking(engine)
        for part in batches(_asked(system, dataset), batch):
            missing = {each.id for each in part if results.get(system.name, each.id) is None}
            if missing:
                answered = _answers(ask, patient, part, settings, engine.backend.decode)
                results.add([each for each in answered if each.sample in missing])
            progress(system, len(part))


def requests_of(system: System, dataset: Dataset) -> int:
    """Returns how many requests a system is asked."""
    return len(_asked(system, dataset))


def _asked(system: System, dataset: Dataset) -> list[Sample]:
    return [each for each in dataset if each.side != "blank" or system.name == "unguarded"]


def _answers(
    ask: Ask,
    system: System,
    samples: Sequence[Sample],
    settings: GenerationSettings,
    decode: Callable[[Sequence[int]], str],
) -> list[Record]:
    conversations = [conversation_of(each) for each in samples]
    started = time.perf_counter()
    answers = ask(conversations, settings)
    seconds = (time.perf_counter() - started) / len(samples)
    return [
        _record(system, sample, answer, seconds, decode)
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _done(act: Act, mode: Mode) -> Act:
    """Returns what was done: in `shadow` nothing is, and what would have been is on record."""
    return "record" if mode == "shadow" and act not in CLEARING else act


def _record(
    system: System,
    sample: Sample,
    answer: Any,
    seconds: float,
    decode: Callable[[Sequence[int]], str],
) -> Record:
    if isinstance(answer, Exception) and not isinstance(answer, Escalation):
        raise answer
    decision = answer.decision
    tokens = () if isinstance(answer, Escalation) else tuple(answer.token_ids)
    return Record(
        system=system.name,
        sample=sample.id,
        answer="" if isinstance(answer, Escalation) else answer.text,
        tokens=tokens,
        finish=decision.outcome.finish_reason,
        action=decision.action,
        label=decision.verdict.label,
        p_unsafe=decision.verdict.p_unsafe,
        seconds=round(seconds, 6),
        categories=dict(decision.verdict.categories),
        steps=tuple(
            Step(
                step=each.step,
                token=each.token,
                token_unguarded=each.token_unguarded,
                refusal_mass_before=each.refusal_mass_before,
                refusal_mass_after=each.refusal_mass_after,
            )
            for each in decision.steps
        ),
        readings=tuple(
            Reading(each.tokens, _done(each.act, decision.mode), each.p_unsafe)
            for each in decision.watch
        ),
        turned_at=turned_at(tokens, sample.harmful, decode),
    )
