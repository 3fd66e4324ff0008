"""The ways to answer that are compared, each timed from the conversation to its last token."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from guardrail.backends.transformers.device import synchronize
from guardrail.backends.transformers.references import answered_as_published, generated
from guardrail.bench.subject import Subject
from guardrail.errors import GuardrailError
from guardrail.policy import Policy
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings

_ASIDE = "I am in a hurry."
"""Said beside a question, so that this is judged without it, too."""


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
    made = generated(subject.backend, conversation, exactly(new_tokens), clock.token)
    return _checked(clock.stop(), made, new_tokens)


def always(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """Guarded: the model's own verdict, contrast and boosted refusals at every guided step."""
    return _guarded(subject, conversation, new_tokens, subject.policies.always, contrast=True)


def viewed(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """As `always`, and the judge looks at the request a second time, in a prompt of its own."""
    *before, last = conversation.turns
    [picture, text] = last.parts
    turned = replace(last, parts=(picture, f"{_ASIDE} {text}"))  # there is a view without it
    asked = replace(conversation, turns=(*before, turned))
    return _guarded(subject, asked, new_tokens, subject.policies.viewed, contrast=True)


def skipped(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """Guarded: the verdict is confidently safe, so the noised branch does not run."""
    return _guarded(subject, conversation, new_tokens, subject.policies.skipped, contrast=False)


def off(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """The library in mode `off`: what its own loop costs."""
    return _guarded(
        subject, conversation, new_tokens, subject.policies.always, contrast=False, mode="off"
    )


def reference(subject: Subject, conversation: Conversation, new_tokens: int) -> Run:
    """The published code's cost: both prompts run in full again at every guided step; no judge."""
    clock, guided = _Clock(subject), subject.policies.always.contrast
    made = answered_as_published(
        subject.backend,
        conversation,
        new_tokens=new_tokens,
        guided_steps=guided.guided_steps,
        alpha=guided.alpha,
        noise_std=guided.noise_std,
        on_token=clock.token,
    )
    return _checked(clock.stop(), made, new_tokens)


VARIANTS: dict[str, Variant] = {
    "plain": plain,
    "off": off,
    "always": always,
    "viewed": viewed,
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
    """A stop-watch that notes when the first token comes."""

    def __init__(self, subject: Subject) -> None:
        self._device = subject.device
        self._first: float | None = None
        self._started = self._now()

    def token(self) -> None:
        """Notes a token."""
        if self._first is None:
            self._first = self._now()

    def stop(self) -> Run:
        """Returns the times so far."""
        now = self._now()
        return Run(now - self._started, (self._first or now) - self._started)

    def _now(self) -> float:
        synchronize(self._device)
        return time.perf_counter()


def _checked(run: Run, made: int, wanted: int) -> Run:
    if made != wanted:
        raise GuardrailError(f"the model gave {made} tokens instead of {wanted}: times say nothing")
    return run
