"""Asks every system every sample, in batches, and records the answers.

Batches are fixed by the data set and the batch size alone: a run that goes on where another one
stopped asks in the same company, and so gets the same answers; a batch of which only a part was
kept is asked again as a whole. Judges get all the time there is: a batch shares one clock, and what
is measured is the policy, not the speed of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from guardrail.errors import Escalation, PictureError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.results import Record, Results, Step
from guardrail.evaluation.systems.system import Ask, System
from guardrail.policy import Policy
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

BLANK_SIZE = (224, 224)
BLANK_GREY = (127, 127, 127)
JUDGE_TIMEOUT_S = 600.0

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
        unhurried = replace(system, policy=_unhurried(system.policy))
        ask = unhurried.asking(engine)
        for part in batches(_asked(system, dataset), batch):
            missing = {each.id for each in part if results.get(system.name, each.id) is None}
            if missing:
                answered = _answers(ask, unhurried, part, settings)
                results.add([each for each in answered if each.sample in missing])
            progress(system, len(part))


def batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """Yields the samples in batches; neighbours have questions of similar length: little padding.

    Blank samples, which not every system is asked, keep to themselves: the others are always asked
    in the same company. So do those without a picture: what is asked beside one is padded for it.
    """
    ordered = sorted(samples, key=lambda each: (len(each.question), each.question, each.id))
    for kind in ("pictured", "text", "blank"):
        alike = [each for each in ordered if _kind(each) == kind]
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def _kind(sample: Sample) -> str:
    if sample.side == "blank":
        return "blank"
    return "text" if sample.text_only else "pictured"


def requests_of(system: System, dataset: Dataset) -> int:
    """Returns how many requests a system is asked."""
    return len(_asked(system, dataset))


def _unhurried(policy: Policy) -> Policy:
    judge = policy.judge.model_copy(update={"timeout_s": JUDGE_TIMEOUT_S})
    changed: Policy = policy.model_copy(update={"judge": judge})
    return changed


def _asked(system: System, dataset: Dataset) -> list[Sample]:
    return [each for each in dataset if each.side != "blank" or system.name == "unguarded"]


def _answers(
    ask: Ask, system: System, samples: Sequence[Sample], settings: GenerationSettings
) -> list[Record]:
    conversations = [_conversation(each) for each in samples]
    started = time.perf_counter()
    answers = ask(conversations, settings)
    seconds = (time.perf_counter() - started) / len(samples)
    return [
        _record(system, sample, answer, seconds)
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _record(system: System, sample: Sample, answer: Any, seconds: float) -> Record:
    if isinstance(answer, Exception) and not isinstance(answer, Escalation):
        raise answer
    decision = answer.decision
    return Record(
        system=system.name,
        sample=sample.id,
        answer="" if isinstance(answer, Escalation) else answer.text,
        tokens=() if isinstance(answer, Escalation) else tuple(answer.token_ids),
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
    )


def _conversation(sample: Sample) -> Conversation:
    if sample.text_only:
        return question(sample.question)
    if sample.picture is None:
        return question(sample.question, [_blank()])
    try:
        return question(sample.question, [load_picture(sample.picture)])
    except PictureError as error:
        raise PictureError(f"sample {sample.id!r}: {error}") from error


@lru_cache(maxsize=1)
def _blank(size: tuple[int, int] = BLANK_SIZE) -> Picture:
    return load_picture(Image.new("RGB", size, BLANK_GREY))
