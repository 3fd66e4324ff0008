"""What watching an answer costs: the same guarded answer, watched and not, in turns.

Besides its time, how far a stream that lets out nothing before it is cleared is behind the model.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from guardrail.backends.transformers.device import synchronize
from guardrail.bench.pinned import sparing_nothing
from guardrail.bench.rounds import Progress, interleaved
from guardrail.bench.spread import Spread
from guardrail.bench.subject import Subject
from guardrail.bench.variants import exactly
from guardrail.errors import GuardrailError
from guardrail.policy import Policy, load_policy
from guardrail.policy.terms import CLEARING
from guardrail.record.decision import WatchRecord
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta


@dataclass(frozen=True)
class WatchingCost:
    """What a guarded answer takes longer when it is watched, and what its stream is behind by.

    Attributes:
        new_tokens: Length of the answers.
        every: Tokens between two readings, by the policy.
        readings: How many readings an answer had, of how many questions each: two numbers. The
            screen is asked one and spares the others, as where nothing is at stake.
        questions_in_full: Of a reading whose screen spares nothing.
        plain_s: Time of an answer that nobody watches, its request judged as ever.
        watched_s: Time of one that is watched.
        ratio: Watched over not watched, in the same round.
        ratio_in_full: The same where the screen spares nothing.
        delay_tokens: Tokens that the model had said beyond a token when that was let out.
        delay_ms: Milliseconds between when a stream has a piece of text, watched and not.
    """

    new_tokens: int
    every: int
    readings: tuple[int, int]
    questions_in_full: int
    plain_s: Spread
    watched_s: Spread
    ratio: Spread
    ratio_in_full: Spread
    delay_tokens: Spread
    delay_ms: Spread


@dataclass(frozen=True)
class _Stream:
    """One answer: when each piece of its text came, in seconds, and what was read of it."""

    wall_s: float
    texts: Sequence[str]
    times: Sequence[float]
    read: Sequence[WatchRecord]

    def known(self) -> list[int]:
        """How many characters were there with each piece."""
        return list(accumulate(len(text) for text in self.texts))


def time_watching(
    subject: Subject,
    conversation: Conversation,
    *,
    new_tokens: int,
    repeats: int,
    progress: Progress,
) -> WatchingCost:
    """Returns what watching as the pack `watched` says costs, while it clears everything.

    Raises:
        GuardrailError: The model does not answer at the length asked for, or a reading clears not.
    """
    plain = subject.policies.skipped
    watch = load_policy("watched").watch
    watched: Policy = plain.model_copy(update={"watch": watch})
    in_full = sparing_nothing(watched)
    answers: dict[str, Callable[[], _Stream]] = {
        name: partial(_streamed, subject, conversation, policy, new_tokens)
        for name, policy in (("unwatched", plain), ("watched", watched), ("in full", in_full))
    }
    runs = interleaved(answers, repeats=repeats, what=f"{new_tokens} tokens", progress=progress)
    pairs = list(zip(runs["unwatched"], runs["watched"], strict=True))
    whole = list(zip(runs["unwatched"], runs["in full"], strict=True))
    last = runs["watched"][-1].read
    return WatchingCost(
        new_tokens,
        watch.every,
        (len(last), _questions(last[0])),
        _questions(runs["in full"][-1].read[0]),
        Spread.of([each.wall_s for each in runs["unwatched"]]),
        Spread.of([each.wall_s for each in runs["watched"]]),
        Spread.of([after.wall_s / before.wall_s for before, after in pairs]),
        Spread.of([after.wall_s / before.wall_s for before, after in whole]),
        Spread.of(_behind(last)),
        Spread.of([late for before, after in pairs for late in _late(before, after)]),
    )


def _streamed(
    subject: Subject, conversation: Conversation, policy: Policy, new_tokens: int
) -> _Stream:
    texts, times = [], []
    synchronize(subject.device)
    started = time.perf_counter()
    for event in subject.engine.stream(conversation, exactly(new_tokens), policy=policy):
        now = time.perf_counter() - started
        if isinstance(event, Delta):
            texts.append(event.text)
            times.append(now)
            continue
        read = event.decision.watch
        if len(event.token_ids) != new_tokens or not all(each.act in CLEARING for each in read):
            raise GuardrailError("the bench cannot pin this model's behaviour: it was stopped")
        return _Stream(now, texts, times, read)
    raise AssertionError("a stream ends with its answer")


def _questions(reading: WatchRecord) -> int:
    """How many questions a reading was of."""
    return len(reading.categories) - len(reading.screened) + (reading.screen is not None)


def _behind(read: Sequence[WatchRecord]) -> list[float]:
    """Of each token, how many more there were when it was let out."""
    cleared = [each.tokens for each in read]
    tokens = range(1, cleared[-1] + 1)
    return [float(cleared[bisect_left(cleared, token)] - token) for token in tokens]


def _late(before: _Stream, after: _Stream) -> list[float]:
    """Of each piece that the unwatched stream had, how much later the watched one did, in ms."""
    known = after.known()
    return [
        1000 * (after.times[bisect_left(known, length)] - at)
        for length, at in zip(before.known(), before.times, strict=True)
    ]
