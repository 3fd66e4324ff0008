"""The thinking that a reasoning model begins its answer with, told apart from the answer.

It stands between two marks; some templates write the first one themselves, at the prompt's end.
"""

from __future__ import annotations

from typing import Literal

MARKS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
"""Where thinking begins and ends, as models write it."""

_State = Literal["open", "thinking", "after", "answer"]

OPENINGS = tuple(opening for opening, _ in MARKS)
WRITTEN = "".join(mark for pair in MARKS for mark in pair)


class ThinkingReader:
    """Takes an answer's text piece by piece, and leaves out the thinking that it begins with.

    Args:
        begun: Whether the prompt has begun it.
    """

    def __init__(self, *, begun: bool) -> None:
        self._state: Literal["open", "thinking", "after", "answer"] = (
            "thinking" if begun else "open"
        )
        self._closings = tuple(closing for _, closing in MARKS)
        self._rest = ""
        self._hidden = 0

    @property
    def hidden(self) -> int:
        """How many characters have been left out so far: all before what was given out."""
        return self._hidden

    def push(self, text: str) -> str:
        """Returns what of the text is known to be the answer."""
        self._rest += text
        if self._state == "open":
            self._begin()
        if self._state == "thinking":
            self._think()
        if self._state == "after":
            self._hide(len(self._rest) - len(self._rest.lstrip()))
            self._state = "answer" if self._rest else "after"
        return self._given() if self._state == "answer" else ""

    def finish(self) -> str:
        """Returns what was held back, at the end: of thinking that has no end, nothing."""
        if self._state == "thinking":
            self._hide(len(self._rest))
        return self._given()

    def _begin(self) -> None:
        """Finds out whether the answer begins with a mark; it may not be whole yet."""
        begun = self._rest.lstrip()
        self._closings = tuple(end for opening, end in MARKS if begun.startswith(opening))
        if self._closings:
            self._state = "thinking"
        elif not any(opening.startswith(begun) for opening, _ in MARKS):
            self._state = "answer"

    def _think(self) -> None:
        """Leaves out all up to the mark that ends thinking; its beginning may be there already."""
        ends = [self._rest.find(each) + len(each) for each in self._closings if each in self._rest]
        if ends:
            self._hide(min(ends))
            self._state = "after"
        else:
            self._hide(max(0, len(self._rest) - max(map(len, self._closings)) + 1))

    def _hide(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._hidden += count

    def _given(self) -> str:
        given, self._rest = self._rest, ""
        return given
