"""Judges that fail in every way, by number: the same number is the same judge for ever."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from guardrail import Guard, load_policy
from guardrail.errors import JudgeError, MessageError
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import question

_POLICY = load_policy("baseline")
_NAMES = [each.id for each in _POLICY.categories]
_ASKED = (question("How do I climb this?"), question("How do I climb this?\n\n\nNow."))
"""The second one is looked at twice: its blank lines are structure of its own."""


class _Odd:
    """Raises whatever is done with it."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __float__(self) -> float:
        raise self._error

    def __iter__(self) -> Iterator[str]:
        raise self._error

    def __str__(self) -> str:
        raise self._error

    def __bool__(self) -> bool:
        raise self._error


_ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: RuntimeError("x"), lambda: ValueError("secret"), lambda: JudgeError("y"),
    lambda: MessageError("z"), lambda: MemoryError(), lambda: RecursionError(),
    lambda: SystemExit(0), lambda: KeyboardInterrupt(), lambda: GeneratorExit(),
    lambda: StopIteration(), lambda: BaseException("b"), lambda: TimeoutError(), lambda: OSError(5),
)  # fmt: skip
_NO_PROBABILITIES: tuple[Callable[[], Any], ...] = (
    lambda: math.nan, lambda: math.inf, lambda: -0.5, lambda: 1.5, lambda: -math.inf, lambda: 1e308,
    lambda: None, lambda: "safe", lambda: b"0.0", lambda: True, lambda: False, lambda: [], dict,
    lambda: {"no": 0.0}, lambda: 0j, lambda: object(), lambda: (x for x in (0.0,)), lambda: {1, 2},
    lambda: Verdict(), lambda: Verdict({"no": 0.0}), lambda: Verdict(None),  # type: ignore[arg-type]
    lambda: Verdict(dict.fromkeys(_NAMES, 0.0), error="it failed"),
    lambda: Verdict(dict.fromkeys(_NAMES, 0.0), error=ValueError("x")),  # type: ignore[arg-type]
)  # fmt: skip


def judges(first: int, count: int) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yields the judges from the `first` on, each with its name; none gives a whole verdict."""
    for number in range(first, first + count):
        yield f"judge {number}", _judge(random.Random(number))


def check(judge: Callable[[Any], Any]) -> None:
    """Asserts that whatever such a judge does, the request is blocked and the record says why."""
    for asked in _ASKED:
        decision = Guard(judge=judge, policy=_POLICY).decide(asked).decision
        assert decision.verdict.label == "unavailable", decision.verdict
        assert decision.action == "block"
        assert "secret" not in decision.model_dump_json()


def _judge(chosen: random.Random) -> Callable[[Any], Any]:
    way = chosen.randrange(5)
    if way == 0:
        error = chosen.choice(_ERRORS)

        def raises(request: Any) -> Any:
            raise error()

        return raises
    if way == 1:
        made = chosen.choice(_NO_PROBABILITIES)
        return lambda request: made()
    if way == 2:
        error = chosen.choice(_ERRORS[:6])
        odd = _Odd(error())
        whole = dict.fromkeys(_NAMES, 0.0) | {chosen.choice(_NAMES): odd}
        return lambda request: chosen_form(whole)
    values: dict[str, Any] = dict.fromkeys(_NAMES, 0.0)
    if way == 3:  # one category is left out
        del values[chosen.choice(_NAMES)]
    else:
        values[chosen.choice(_NAMES)] = chosen.choice((math.nan, -1e-9, 1.0000001, math.inf, "x"))
    return lambda request: chosen_form(values) if chosen.random() < 0.5 else values


def chosen_form(values: dict[str, Any]) -> Verdict:
    """The same as a verdict of the judge's own."""
    return Verdict(values, source="mine")
