"""What `guardrail policy keys` prints: plain lines, the same in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import indent, shorten, wrap
from typing import TYPE_CHECKING

from guardrail.cli.policy_text import table

if TYPE_CHECKING:
    from guardrail.policy.reference import Key

_WIDTH = 80
_SHORT = 17
_NOTHING = "nothing"


def listing(found: Iterable[Key]) -> Iterator[str]:
    """Yields a line for each key: its path, what holds without it, and what it takes."""
    rows = [
        (each.path, shorten(_without(each), _SHORT, placeholder=" …"), each.takes) for each in found
    ]
    yield from table([("key", "without it", "takes"), *rows])


def told(found: Iterable[Key]) -> Iterator[str]:
    """Yields all that is known of each key."""
    for number, each in enumerate(found):
        if number:
            yield ""
        yield each.path
        yield from _wrapped(each.means)
        yield f"  takes {each.takes}"
        if without := _without(each):
            yield f"  without it: {without}"
        if each.baseline is not None:
            yield f"  in baseline: {each.baseline or _NOTHING}"
        yield f"  locked by: {each.lock or _NOTHING}"
        yield from _wrapped(f"What it does to an answer: {each.does}")
        yield ""
        yield indent(each.example, "    ")


def _without(key: Key) -> str:
    if key.needed:
        return "has to be there"
    return "" if key.default is None else key.default or _NOTHING


def _wrapped(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
