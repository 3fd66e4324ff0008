"""Runs of several threads on one model: what they need of it at the same time is run at once.

Every run goes its own way: judged, guided, sampled, held to a form. Only where it needs the model,
its forward pass waits until the model is free, and then runs as one with those that wait beside it:
continuous batching (Orca, OSDI 2022) by flat combining (Hendler et al., SPAA 2010), in which
whoever finds the model free runs everybody's passes. So rows join and leave between two steps, and
steps that are guided and steps that are not stand side by side.

It knows nothing of what the passes are for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from guardrail.backends.backend import Stop
from guardrail.backends.transformers.generation import Outputs, run_model
from guardrail.backends.transformers.interruption import interruptible
from guardrail.backends.transformers.joining import (
    apart,
    joined_arguments,
    kind_of,
    length_of,
    rows_of,
)
from guardrail.backends.transformers.self_check import relative_distance, rounding

MOST_ROWS = 64
"""Rows of one pass."""

MOST_PADDING = 2
"""A joined pass holds at most so many times the tokens that its rows have."""

_GRACE = 0.5
_LONGEST_GRACE_S = 0.02
"""How long a step waits for those that took the last one: as a part of what that took; at most."""


@dataclass(eq=False)
class _Pass:
    """A forward pass that somebody waits for."""

    caller: Caller
    model: Any
    arguments: dict[str, Any]
    kind: Hashable | None
    asked: float
    outputs: Any = None
    error: Exception | None = None
    settled: bool = False

    @property
    def is_step(self) -> bool:
        """Whether it runs a single token of each row."""
        ids = self.arguments.get("input_ids")
        return isinstance(ids, torch.Tensor) and ids.shape[1] == 1

    def is_like(self, other: _Pass) -> bool:
        """Whether both may be joined."""
        return self.kind is not None and self.kind == other.kind and self.model is other.model

    def stops(self) -> bool:
        """Whether its caller wants no more of it."""
        return self.caller.stop is not None and self.caller.stop()


class Together:
    """Runs the passes of one model. Safe to use from several threads.

    Args:
        joins: Says whether passes of different threads may be joined at all: not where the model
            keeps something between the preparation of a pass and the pass itself.
    """

    def __init__(self, joins: Callable[[], bool]) -> None:
        self.alone = threading.RLock()
        self.joins = joins
        self._meeting = threading.Condition()
        self._waiting: list[_Pass] = []
        self._away: set[Caller] = set()
        self._led = False
        self._took_s = 0.0
        self._agree: dict[Hashable, bool] = {}

    def caller(self, stop: Stop | None) -> Caller:
        """Returns what a request runs its passes by.

        Args:
            stop: Asked before every layer of a pass over several tokens.
        """
        return Caller(self, stop)

    def run(self, one: _Pass) -> Any:
        """Returns the outputs of a pass, run with others or by itself."""
        with self._meeting:
            self._away.discard(one.caller)
            self._waiting.append(one)
            self._meeting.notify_all()
        try:
            while not self._settled_or_ours(one):
                try:
                    self._lead(one)
                finally:
                    self._hand_over()
        finally:
            with self._meeting:
                if one in self._waiting:
                    self._waiting.remove(one)
        if one.error is not None:
            raise one.error
        return one.outputs

    def left(self, caller: Caller) -> None:
        """Is told that nothing more is asked by one of them."""
        with self._meeting:
            self._away.discard(caller)
            self._meeting.notify_all()

    # One thread leads, the others wait -----------------------------------------------------------

    def _settled_or_ours(self, one: _Pass) -> bool:
        """Waits until a pass is settled, or leadership is free, which is then this thread's."""
        with self._meeting:
            self._meeting.wait_for(lambda: one.settled or not self._led)
            if not one.settled:
                self._led = True
            return one.settled

    def _hand_over(self) -> None:
        with self._meeting:
            self._led = False
            self._meeting.notify_all()

    def _lead(self, own: _Pass) -> None:
        """Runs this thread's own pass, and those that can be joined with it."""
        self._await_the_others(own)
        with self.alone:
            taken = self._taken(own)
            started = time.perf_counter()
            try:
                self._run_at_once(taken)
            finally:
                self._settle(taken, started)

    def _await_the_others(self, own: _Pass) -> None:
        """Gives those that took the last step a moment to come back for the next one."""
        with self._meeting:
            if own.is_step:
                grace = min(_GRACE * self._took_s, _LONGEST_GRACE_S)
                self._meeting.wait_for(lambda: not self._away, timeout=grace)
            self._away.clear()  # who was late is not waited for again

    def _taken(self, own: _Pass) -> list[_Pass]:
        with self._meeting:
            others = [each for each in self._waiting if each is not own and each.is_like(own)]
            taken = _fitting(own, others)
            self._waiting = [each for each in self._waiting if each not in taken]
            return taken

    def _settle(self, taken: Sequence[_Pass], started: float) -> None:
        """Hands out what has come of passes; what has come to nothing waits once more."""
        ended = time.perf_counter()
        with self._meeting:
            if taken[0].is_step:
                self._took_s = ended - started
            for each in taken:
                each.caller.waited_s += started - each.asked
                each.settled = each.outputs is not None or each.error is not None
                if each.settled:
                    self._away.add(each.caller)
                else:  # this thread was stopped in the middle
                    each.asked = ended
                    self._waiting.append(each)
            self._meeting.notify_all()

    # Passes --------------------------------------------------------------------------------------

    def _run_at_once(self, taken: Sequence[_Pass]) -> None:
        if len(taken) == 1 or not self._run_joined(taken):
            _run_apart(taken)

    def _run_joined(self, taken: Sequence[_Pass]) -> bool:
        """Runs passes as one; returns False, and nothing has changed, where that fails."""
        passes = [each.arguments for each in taken]
        try:
            arguments, paddings = joined_arguments(passes)
            sort = taken[0].is_step, any(paddings), frozenset(arguments)
            if not self._agree.get(sort, True):
                return False
            outputs = apart(_run(taken, taken[0].model, arguments), passes, paddings)
        except Exception:  # each finds out by itself what it was, and whose
            return False
        if sort in self._agree:
            for each, found in zip(taken, outputs, strict=True):
                each.outputs = found
        else:  # the first of its sort is run both ways
            _run_apart(taken)
            if all(each.error is None for each in taken):
                self._agree[sort] = all(map(_agrees, taken, outputs))
        return True


class Caller:
    """One request's way to the model: a `Forward`.

    Args:
        together: Runs its passes.
        stop: Whether nothing more is wanted.

    Attributes:
        waited_s: Seconds for which its passes have waited for the model.
    """

    def __init__(self, together: Together, stop: Stop | None) -> None:
        self._together, self.stop = together, stop
        self.waited_s = 0.0

    def __call__(self, model: Any, arguments: dict[str, Any]) -> Any:
        """Runs the model, perhaps with the passes of others.

        Raises:
            Interrupted: It was stopped.
        """
        asked = time.perf_counter()
        if self._together.joins():
            kind = kind_of(arguments)
            return self._together.run(_Pass(self, model, arguments, kind, asked))
        # INVARIANT: who may hold the model waits for nobody who leads, and may need it.
        with self._together.alone:
            self.waited_s += time.perf_counter() - asked
            return _run([_Pass(self, model, arguments, None, asked)], model, arguments)

    def clock(self) -> float:
        """Returns a time in seconds that stands still while a pass waits for the model."""
        return time.perf_counter() - self.waited_s

    def held(self) -> AbstractContextManager[Any]:
        """Returns what is held while passes are prepared and run."""
        return nullcontext() if self._together.joins() else self._together.alone

    def close(self) -> None:
        """Nothing more is asked."""
        self._together.left(self)


def _run_apart(taken: Sequence[_Pass]) -> None:
    for each in taken:
        try:
            each.outputs = _run([each], each.model, each.arguments)
        except Exception as error:
            each.error = error


def _run(taken: Sequence[_Pass], model: Any, arguments: dict[str, Any]) -> Any:
    """Runs a model, which stops in the middle once nobody wants anything of it any more."""
    if taken[0].is_step or any(each.caller.stop is None for each in taken):
        return run_model(model, arguments)
    with interruptible(model, lambda: all(each.stops() for each in taken)):
        return run_model(model, arguments)


def _agrees(one: _Pass, found: Outputs) -> bool:
    """Whether what a pass came to with others is what it came to by itself."""
    logits = found["logits"].float(), one.outputs.logits.float()
    return relative_distance(*logits) <= rounding(one.model)


def _fitting(first: _Pass, others: Sequence[_Pass]) -> list[_Pass]:
    """Returns the first and those with it that make a pass of no more than it should hold."""
    if not others:
        return [first]
    taken, rows, tokens = [first], rows_of(first.arguments), _tokens(first)
    longest = length_of(first.arguments)
    for each in others:
        more = rows + rows_of(each.arguments)
        longer = max(longest, length_of(each.arguments))
        if more > MOST_ROWS or more * longer > MOST_PADDING * (tokens + _tokens(each)):
            continue
        taken.append(each)
        rows, tokens, longest = more, tokens + _tokens(each), longer
    return taken


def _tokens(one: _Pass) -> int:
    return rows_of(one.arguments) * length_of(one.arguments)
