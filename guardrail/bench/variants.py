"""The ways to answer that are compared, each timed from the conversation to its last token."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from guardrail.backends.transformers.branch import Branch, prepare
from guardrail.backends.transformers.noise import noised_inputs
from guardrail.backends.transformers.prompt import to_device
from guardrail.bench.subject import Subject
from guardrail.errors import GuardrailError
from guardrail.policy import Policy
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.safecode import SafeCoDe


@dataclass(frozen=True)
class Run:
    """One timed answer.

    Attributes:
        wall_s: From the conversation to the last token, encoding included.
        first_token_s: To the first token.
        parts_ms: The engine's own timings; empty for what is not guarded.
        mean_step_ms: Mean time of a guided step after the first one, None where there is none.
    """

    wall_s: float
    first_token_s: float
    parts_ms: dict[str, float] = field(default_factory=dict)


Variant = Callable[[Subject, Conversation, int], Run]
"""Answers with exactly so many new tokens."""


def plain(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """The model's own `generate()`."""
    clock = _Clock(subject)
    model, encoder = subject.engine.model, subject.engine.encoder
    inputs = to_device(encoder.encode([conversation]), model)
    ids = model.generate(**inputs, **exactly(new_tokens).generate_arguments(), streamer=clock)
    run = clock.stop()
    made = ids.shape[1] - inputs["input_ids"].shape[1]
    # Some families give back the answer alone.
    return _checked(run, made if made > 0 else ids.shape[1], new_tokens)


def always(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """Guarded: the model's own verdict, contrast and boosted refusals at every guided step."""
    return _guarded(subject, conversation, new_tokens, subject.policies.always, contrast=True)


def skipped(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """Guarded: the verdict is confidently safe, so the noised branch does not run."""
    return _guarded(subject, conversation, new_tokens, subject.policies.skipped, contrast=False)


def off(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """The library in mode `off`: what its own loop costs."""
    return _guarded(
        subject, conversation, new_tokens, subject.policies.always, contrast=False, mode="off"
    )


@torch.no_grad()
def reference(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """The published code's cost: both prompts run in full again at every guided step; no judge."""
    clock = _Clock(subject)
    engine, guided = subject.engine, subject.policies.always.contrast
    inputs = to_device(engine.encoder.encode([conversation]), engine.model)
    noised = noised_inputs(
        inputs,
        noise_std=guided.noise_std,
        image_processor=getattr(engine.processor, "image_processor", None),
    )
    said: list[int] = []
    real = None
    for _ in range(min(guided.guided_steps, new_tokens)):
        real, other = (_run_again(engine, each, said) for each in (inputs, noised))
        said.append(int((real.logits + guided.alpha * (real.logits - other.logits)).argmax()))
        clock.token()
    while real is not None and len(said) < new_tokens:
        real = real.extend(torch.tensor([said[-1:]]))
        said.append(int(real.logits.argmax()))
        clock.token()
    return _checked(clock.stop(), len(said), new_tokens)


def _run_again(engine: SafeCoDe, inputs: dict[str, Any], said: list[int]) -> Branch:
    branch = Branch.prefill(prepare(engine.model, inputs, max_new_tokens=1))
    return branch.extend(torch.tensor([said])) if said else branch


VARIANTS: dict[str, Variant] = {
    "plain": plain,
    "off": off,
    "always": always,
    "skipped": skipped,
    "reference": reference,
}


def exactly(new_tokens: int) -> GenerationSettings:
    """Returns greedy settings that give exactly so many tokens."""
    return GenerationSettings(
        max_new_tokens=new_tokens, temperature=0, extra={"min_new_tokens": new_tokens}
    )


def _guarded(
    subject: Subject,
    conversation: Conversation,
    new_tokens: int,
    policy: Policy,
    *,
    contrast: bool,
    mode: Any = None,
) -> Run:
    clock = _Clock(subject)
    events = subject.engine.stream(conversation, exactly(new_tokens), policy=policy, mode=mode)
    for event in events:
        if isinstance(event, Delta):
            continue
        run = clock.stop()
        decision = event.decision
        if decision.errors or decision.contrast.applied != contrast:
            why = "; ".join(decision.errors) or decision.contrast.skipped or "contrast was applied"
            raise GuardrailError(f"the bench cannot pin this model's behaviour: {why}")
        first = decision.timings_ms["first_token"] / 1000
        run = Run(run.wall_s, first, dict(decision.timings_ms))
        return _checked(run, len(event.token_ids), new_tokens)
    raise AssertionError("a stream ends with its answer")


class _Clock:
    """A stop-watch, and a streamer that notes when the first token comes."""

    def __init__(self, subject: Subject) -> None:
        self._cuda = subject.device.type == "cuda"
        self._first: float | None = None
        self._prompt_seen = False
        self._started = self._now()

    def put(self, value: Any) -> None:
        """Takes what `generate()` streams: the prompt, then the tokens."""
        if self._prompt_seen:
            self.token()
        self._prompt_seen = True

    def end(self) -> None:
        """The end of the stream."""

    def token(self) -> None:
        """Notes a token."""
        if self._first is None:
            self._first = self._now()

    def stop(self) -> Run:
        """Returns the times so far."""
        now = self._now()
        return Run(now - self._started, (self._first or now) - self._started)

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def _checked(run: Run, made: int, wanted: int) -> Run:
    if made != wanted:
        raise GuardrailError(f"the model gave {made} tokens instead of {wanted}: times say nothing")
    return run
