"""Tool calls in an answer, found while it is being written.

Text comes in pieces of any size; what is a call, or may become one, never comes out as text.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from guardrail.request.call_format import CallFormat
from guardrail.request.delta import Delta, InvalidCall, ToolCall

_DECODER = json.JSONDecoder()


class CallReader:
    """Tells text and calls apart in one answer.

    Args:
        written: How the model writes calls.
        tools: Names of the tools that may be called.
        parallel: Whether more than one call is taken; the others count as invalid.
        held_back: Why no call is taken at all, where none is: all count as invalid, then.
    """

    def __init__(
        self,
        written: CallFormat,
        tools: Iterable[str],
        *,
        parallel: bool = True,
        held_back: str | None = None,
    ) -> None:
        self._format = written
        self._tools = frozenset(tools)
        self._parallel = parallel
        self._held_back = held_back
        self._rest = ""  # what is not settled yet; inside a call, from its opening on
        self._inside = False
        self._fresh = True  # nothing but calls and white space so far
        self._after_call = False
        self._taken = False
        self._read = 0
        self._places: list[tuple[int, int]] = []

    @property
    def written(self) -> str:
        """What the model writes around a call."""
        return self._format.written

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where what was returned last stands in all the text: begin and end of each text; of a
        call only the end, twice.
        """
        return self._places

    @property
    def settled(self) -> int:
        """Up to where it is settled what the text is."""
        return self._read - len(self._rest)

    def push(self, text: str) -> list[Delta]:
        """Returns what is settled by more of the answer's text: text and calls, in order."""
        self._rest += text
        self._read += len(text)
        self._places = []
        return list(self._deltas(last=False))

    def finish(self) -> list[Delta]:
        """Returns what was held back, at the end of the answer."""
        self._places = []
        return list(self._deltas(last=True))

    def _deltas(self, *, last: bool) -> Iterator[Delta]:
        while self._rest:
            before = (self._inside, self._rest)
            yield from self._inner(last) if self._inside else self._outer(last)
            if before == (self._inside, self._rest):
                return

    # Text ------------------------------------------------------------------------------------

    def _outer(self, last: bool) -> Iterator[Delta]:
        """Gives out text up to where a call begins, or may begin."""
        if self._after_call and (self._fresh or (last and self._rest.isspace())):
            self._rest = self._rest.lstrip()
        at, start = self._beginning(), self.settled
        if at is not None:
            text, self._rest = self._rest[:at].rstrip(), self._rest[at:]
            self._inside = True
        else:
            cut = len(self._rest) - (0 if last else self._held())
            text, self._rest = self._rest[:cut], self._rest[cut:]
        yield from self._text(text, start)

    def _beginning(self) -> int | None:
        """Where a call begins in the rest, if it does."""
        if self._format.opening:
            at = self._rest.find(self._format.opening)
            return at if at >= 0 else None
        return 0 if self._fresh and self._rest.lstrip().startswith("{") else None

    def _held(self) -> int:
        """How many last characters may be white space before a call, or the beginning of one."""
        opening, text = self._format.opening, self._rest
        sizes = range(min(len(opening) - 1, len(text)), 0, -1)
        part = next((size for size in sizes if text.endswith(opening[:size])), 0)
        return len(text) - len(text[: len(text) - part].rstrip())

    def _text(self, text: str, start: int) -> Iterator[Delta]:
        if text.strip():
            self._fresh = self._after_call = False
        if text:
            self._places.append((start, start + len(text)))
            yield Delta(text)

    def _call(self, call: ToolCall | InvalidCall) -> Delta:
        self._places.append((self.settled, self.settled))
        return Delta("", call)

    # Calls -----------------------------------------------------------------------------------

    def _inner(self, last: bool) -> Iterator[Delta]:
        """Takes a call, or a list of them, as soon as it is known where that ends."""
        closing = self._format.closing
        found = self._decoded()
        if found is None:
            if last:
                yield from self._broken()
            return
        values, end = found
        following = self._rest[end:].lstrip()
        if not last and len(following) < len(closing) and closing.startswith(following):
            return  # what closes the call is still to come
        raw, start, self._inside = self._rest[:end], self.settled, False
        self._rest = following.removeprefix(closing)
        calls = [self._shape(value) for value in values]
        if not self._format.opening and not all(calls):
            yield from self._text(raw, start)  # JSON, but no call
            return
        self._after_call = True
        for call in calls or [None]:
            yield self._judged(call, raw)

    def _decoded(self) -> tuple[list[Any], int] | None:
        """Returns the calls' values, and where they end in the rest; None if not readable yet."""
        text, name, middle = self._rest, "", self._format.middle
        at = _skip(text, len(self._format.opening))
        if middle:
            cut = text.find(middle, at)
            if cut < 0:
                return None
            name, at = text[at:cut].strip(), _skip(text, cut + len(middle))
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            unfinished = "Unterminated" in error.msg or error.pos >= len(text.rstrip())
            return None if unfinished else self._malformed(error.pos)
        except (ValueError, RecursionError):  # too deep, or a number with too many digits
            return self._malformed(at)
        if middle:
            return [(name, value)], end
        return (value if isinstance(value, list) else [value]), end

    def _malformed(self, at: int) -> tuple[list[Any], int] | None:
        """What is no JSON ends where something closes it, from `at` on."""
        closing = self._format.closing
        end = self._rest.find(closing, at) if closing else -1
        return ([], end) if end >= 0 else None

    def _broken(self) -> Iterator[Delta]:
        """What is left at the end of the answer and is no whole call."""
        closing = self._format.closing
        cut = self._rest.find(closing) if closing else -1
        size = cut + len(closing) if cut >= 0 else len(self._rest)
        start, raw, self._rest = self.settled, self._rest[:size], self._rest[size:]
        self._inside = False
        if not self._format.opening and not self._begins_like_call(raw):
            yield from self._text(raw, start)
            return
        self._after_call = True
        ended = "the answer ended in the middle of a tool call"
        yield self._invalid(ended if cut < 0 else "a tool call is not valid JSON", raw)

    def _begins_like_call(self, text: str) -> bool:
        keys = "|".join(re.escape(key) for key in self._format.keys or ())
        return re.match(rf'\s*\{{\s*"({keys})"\s*:', text) is not None

    def _shape(self, value: Any) -> tuple[Any, Any] | None:
        """Returns a call's name and arguments, or None for what is no call."""
        keys = self._format.keys
        if keys is None:
            return (value[0], value[1])
        shaped = isinstance(value, Mapping) and keys[0] in value and keys[1] in value
        return (value[keys[0]], value[keys[1]]) if shaped else None

    def _judged(self, call: tuple[Any, Any] | None, raw: str) -> Delta:
        """Returns a call, or why it is none."""
        name, arguments = call or (None, None)
        if not isinstance(name, str):
            problem = "a tool call is not a JSON object with a name and arguments"
            return self._invalid(problem, raw)
        if name not in self._tools:
            return self._invalid("a tool call names no tool that was given", raw, name)
        if not isinstance(arguments, Mapping):
            return self._invalid("a tool call's arguments are not a JSON object", raw, name)
        if self._held_back is not None:
            return self._invalid(self._held_back, raw, name)
        if self._taken and not self._parallel:
            problem = "a further tool call, where parallel_tool_calls is false"
            return self._invalid(problem, raw, name)
        self._taken = True
        return self._call(ToolCall(name, dict(arguments), _new_id()))

    def _invalid(self, problem: str, raw: str, name: str | None = None) -> Delta:
        return self._call(InvalidCall(raw.strip(), problem, _new_id(), name))


def _skip(text: str, at: int) -> int:
    """Returns the place of the first character from `at` on that is not white space."""
    return len(text) - len(text[at:].lstrip())


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex}"
