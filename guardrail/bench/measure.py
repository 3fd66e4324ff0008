"""Times variants against each other, interleaved, so that all of them see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from guardrail.backends.transformers.run import TransformersRun
from guardrail.backends.transformers.shape_vocabulary import refusal_phrases
from guardrail.bench.pinned import pinned
from guardrail.bench.rounds import Progress, interleaved
from guardrail.bench.spread import Spread
from guardrail.bench.subject import Subject
from guardrail.bench.variants import VARIANTS, Run, Variant, exactly
from guardrail.errors import SettingsError
from guardrail.request.conversation import Conversation
from guardrail.steering.guided import steer
from guardrail.steering.plan import Guidance, RowPlan
from guardrail.steering.refusal_mass import RefusalMass


@dataclass(frozen=True)
class Timing:
    """One variant at one length of answer, over all rounds.

    Attributes:
        ratio: Wall time over plain `generate()`'s in the same round.
        parts_ms: Medians of the engine's own timings.
    """

    variant: str
    new_tokens: int
    wall_s: Spread
    first_token_s: Spread
    ratio: Spread
    parts_ms: dict[str, float]


def time_variants(
    subject: Subject,
    conversation: Conversation,
    *,
    variants: Sequence[str],
    new_tokens: Sequence[int],
    repeats: int,
    progress: Progress,
) -> list[Timing]:
    """Returns a timing per variant and length; `plain` is always among them, first.

    Args:
        subject: The model.
        conversation: What is asked.
        variants: Names of `VARIANTS`.
        new_tokens: Lengths of answers.
        repeats: Rounds, after one round that only warms up.
        progress: Told what is being done.

    Raises:
        SettingsError: A variant is not known.
    """
    chosen = {"plain": VARIANTS["plain"]}
    for name in variants:
        if name not in VARIANTS:
            raise SettingsError(f"variant is {name!r}, expected one of {', '.join(VARIANTS)}")
        chosen[name] = VARIANTS[name]
    timings = []
    for count in new_tokens:
        answers = _answers(chosen, subject, conversation, count)
        runs = interleaved(answers, repeats=repeats, what=f"{count} tokens", progress=progress)
        base = [run.wall_s for run in runs["plain"]]
        timings += [_timing(name, count, made, base) for name, made in runs.items()]
    return timings


def _answers(
    variants: Mapping[str, Variant], subject: Subject, conversation: Conversation, new_tokens: int
) -> dict[str, Callable[[], Run]]:
    return {
        name: partial(variant, subject, conversation, new_tokens)
        for name, variant in variants.items()
    }


def _timing(name: str, new_tokens: int, runs: Sequence[Run], base: Sequence[float]) -> Timing:
    parts = {part for run in runs for part in run.parts_ms}
    return Timing(
        name,
        new_tokens,
        Spread.of([run.wall_s for run in runs]),
        Spread.of([run.first_token_s for run in runs]),
        Spread.of([run.wall_s / plain for run, plain in zip(runs, base, strict=True)]),
        {
            part: statistics.median(run.parts_ms.get(part, 0.0) for run in runs)
            for part in sorted(parts)
        },
    )


@dataclass(frozen=True)
class PicturesCost:
    """What guarding adds to a plain answer about so many pictures."""

    pictures: int
    prompt_tokens: int
    plain_s: Spread
    overhead_s: Spread


def time_pictures(
    subject: Subject,
    *,
    counts: Sequence[int],
    prompt_tokens: int,
    new_tokens: int,
    repeats: int,
    progress: Progress,
) -> list[PicturesCost]:
    """Returns what guarding with contrast adds, for each number of pictures."""
    costs = []
    chosen = {name: VARIANTS[name] for name in ("plain", "always")}
    for count in counts:
        conversation = subject.request(pictures=count, prompt_tokens=prompt_tokens)
        answers = _answers(chosen, subject, conversation, new_tokens)
        what = f"{count} pictures, {new_tokens} tokens"
        runs = interleaved(answers, repeats=repeats, what=what, progress=progress)
        pairs = zip(runs["always"], runs["plain"], strict=True)
        costs.append(
            PicturesCost(
                count,
                subject.count_tokens(conversation),
                Spread.of([run.wall_s for run in runs["plain"]]),
                Spread.of([guarded.wall_s - plain.wall_s for guarded, plain in pairs]),
            )
        )
    return costs


@dataclass(frozen=True)
class VocabularyCost:
    """What a large refusal vocabulary costs.

    Attributes:
        compile_s: Making its index, once per policy and model.
        first_lookup_ms: The first time that an answer has said so much; then it is known.
        added_ms: What looking up, steering and measuring take longer than with the baseline's
            phrases, at each guided step.
        step_ms: A whole guided step.
        share: `added_ms` over `step_ms`.
    """

    phrases: int
    compile_s: float
    first_lookup_ms: float
    added_ms: float
    step_ms: float
    share: float


def time_vocabulary(
    subject: Subject, conversation: Conversation, *, count: int, repeats: int, progress: Progress
) -> VocabularyCost:
    """Returns what `count` refusal phrases cost at a guided step, beside the baseline's."""
    progress(f"a vocabulary of {count} phrases")
    engine = subject.engine
    small = engine.refusal_index(subject.policies.always.phrases)
    phrases = pinned(refusal_phrases(count)).always.phrases
    started = time.perf_counter()
    large = engine.refusal_index(phrases)
    compile_s = time.perf_counter() - started
    said = subject.backend.encoder.encode_piece("I'm truly")
    started = time.perf_counter()
    large.beginnings(large.spell(said))
    first_lookup_ms = (time.perf_counter() - started) * 1000
    run = _at_its_first_token(subject, conversation)
    real, noised = run.logits()
    plans, guidance = [RowPlan(contrast=True, delta=4.0)], Guidance()
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(max(20, repeats)):
        for is_large, index in ((False, small), (True, large)):
            started = time.perf_counter()
            found = index.beginnings(b"")
            steered = steer(
                real, noised, plans=plans, guidance=guidance, refusal_ids=[found.steerable]
            )
            RefusalMass(run, index, 1).of([()], [real, steered], rows=[0])
            taken[is_large].append((time.perf_counter() - started) * 1000)
    added = statistics.median(taken[True]) - statistics.median(taken[False])
    step_ms = _guided_step_ms(subject, conversation, repeats)
    return VocabularyCost(
        len(phrases), compile_s, first_lookup_ms, added, step_ms, max(added, 0.0) / step_ms
    )


def _at_its_first_token(subject: Subject, conversation: Conversation) -> TransformersRun:
    """Returns a run whose prompts, real and noised, have run."""
    run = subject.backend.start([conversation], exactly(1))
    run.prefill(lambda _: nullcontext())
    run.contrast_with("noise", noise_std=subject.policies.always.contrast.noise_std)
    return run


def _guided_step_ms(subject: Subject, conversation: Conversation, repeats: int) -> float:
    """A guided step as the difference of two answers whose every token is guided."""
    steps = subject.policies.always.contrast.guided_steps
    always = VARIANTS["always"]
    always(subject, conversation, steps)
    taken = [
        always(subject, conversation, steps).parts_ms["decode"]
        - always(subject, conversation, 1).parts_ms["decode"]
        for _ in range(repeats)
    ]
    return statistics.median(taken) / (steps - 1)
