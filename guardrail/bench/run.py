"""One bench from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from guardrail.backends.transformers import device
from guardrail.bench.measure import time_pictures, time_variants, time_vocabulary
from guardrail.bench.memory import Task, cuda_peak_bytes, peak_bytes
from guardrail.bench.recording import time_recording
from guardrail.bench.report import Report, machine
from guardrail.bench.rounds import Progress
from guardrail.bench.subject import Subject, loaded, shaped
from guardrail.bench.watching import time_watching
from guardrail.errors import SettingsError


@dataclass(frozen=True)
class Plan:
    """What is to be measured; either `model` or `shape`, by default the shape `llava-250m`."""

    model: str | None = None
    shape: str | None = None
    new_tokens: Sequence[int] = (16, 64)
    variants: Sequence[str] = ("always", "skipped", "reference")
    pictures: Sequence[int] = ()
    vocabulary: int = 0
    recording: bool = False
    watching: bool = False
    prompt_tokens: int = 230
    repeats: int = 5
    threads: int | None = None
    device: str = "cpu"
    dtype: str | None = None
    memory: bool = True


def run(plan: Plan, *, progress: Progress) -> Report:
    """Returns what was measured.

    Args:
        plan: What to measure.
        progress: Told what is being done.

    Raises:
        GuardrailError: The plan or the model is not usable.
    """
    _check(plan)
    if plan.threads:
        device.set_threads(plan.threads)
    subject = _subject(plan)
    conversation = subject.request(pictures=1, prompt_tokens=plan.prompt_tokens)
    subject = subject.settled(conversation)
    timings = time_variants(
        subject,
        conversation,
        variants=plan.variants,
        new_tokens=plan.new_tokens,
        repeats=plan.repeats,
        progress=progress,
    )
    pictures = time_pictures(
        subject,
        counts=plan.pictures,
        prompt_tokens=plan.prompt_tokens,
        new_tokens=min(plan.new_tokens),
        repeats=plan.repeats,
        progress=progress,
    )
    vocabulary = None
    if plan.vocabulary:
        vocabulary = time_vocabulary(
            subject, conversation, count=plan.vocabulary, repeats=plan.repeats, progress=progress
        )
    longest: Any = {
        "new_tokens": max(plan.new_tokens),
        "repeats": plan.repeats,
        "progress": progress,
    }
    recording = time_recording(subject, conversation, **longest) if plan.recording else None
    watching = time_watching(subject, conversation, **longest) if plan.watching else None
    report = Report(
        subject=_described(subject, subject.count_tokens(conversation)),
        machine=machine(device.threads()),
        repeats=plan.repeats,
        timings=timings,
        pictures=pictures,
        vocabulary=vocabulary,
        recording=recording,
        watching=watching,
        notes=_notes(subject),
    )
    return replace(report, peaks=_peaks(plan, subject, progress)) if plan.memory else report


def _check(plan: Plan) -> None:
    if plan.model is not None and plan.shape is not None:
        raise SettingsError("give --model or --shape, not both")
    if plan.dtype is not None and plan.dtype not in device.DTYPES:
        raise SettingsError(f"dtype is {plan.dtype!r}, expected one of {', '.join(device.DTYPES)}")
    if plan.device != "cpu" and not device.has_cuda():
        raise SettingsError(f"device is {plan.device!r}, but there is no CUDA device here")


def _subject(plan: Plan) -> Subject:
    if plan.model is not None:
        return loaded(plan.model, device=plan.device, dtype=plan.dtype)
    return shaped(plan.shape or "llava-250m", device=plan.device, dtype=plan.dtype)


def _described(subject: Subject, prompt_tokens: int) -> dict[str, Any]:
    return {
        "name": subject.name,
        **device.described(subject.engine.model),
        "random_weights": subject.random,
        "prompt_tokens": prompt_tokens,
        "categories": len(subject.policies.always.categories),
        "guided_steps": subject.policies.always.contrast.guided_steps,
    }


def _notes(subject: Subject) -> list[str]:
    notes = [
        "the judge runs in full; its probability is pinned by calibration, to 0.99 for `always` "
        "(refuse) and 0.01 for `skipped` (comply)",
        "`reference` runs both prompts in full at every guided step, as the published code does, "
        "and has no judge",
    ]
    if subject.policies.skipped.contrast.when == "never":
        notes.append(
            "this model is about to refuse here, which puts contrast at stake: for `skipped` it is "
            "switched off instead"
        )
    if subject.random:
        notes.append("random weights mean neither yes nor no: other tokens stand for both")
    return notes


def _peaks(plan: Plan, subject: Subject, progress: Progress) -> dict[str, dict[int, int]]:
    peaks: dict[str, dict[int, int]] = {}
    longest = max(plan.new_tokens)
    for variant in dict.fromkeys(("plain", *plan.variants)):
        progress(f"peak memory of {variant}")
        task = Task(
            shape=None if plan.model else plan.shape or "llava-250m",
            model=plan.model,
            dtype=plan.dtype,
            variant=variant,
            new_tokens=longest,
            pictures=1,
            prompt_tokens=plan.prompt_tokens,
            threads=plan.threads,
        )
        on_cuda = subject.device == "cuda"
        peak = cuda_peak_bytes(subject, task) if on_cuda else peak_bytes(task)
        peaks[variant] = {longest: peak}
    return peaks
