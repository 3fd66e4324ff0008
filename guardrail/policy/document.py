"""A YAML document with the place of everything in it, read defensively.

It knows YAML and nothing of policies. What is read is a small, boring part of YAML 1.2: maps, lists
and plain values. Tags, merge keys and duplicate keys are errors, aliases are counted, and the size,
the depth and the expanded number of nodes are limited, so that no file costs more than it should.
`on`, `off`, `yes` and `no` are text here (YAML 1.1 would make `mode: off` false).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import yaml

from guardrail.errors import PolicyError
from guardrail.policy.blanks import named, odd_blank
from guardrail.policy.nodes import Mark, Node
from guardrail.policy.suggest import quoted

MAX_BYTES = 512 * 1024
MAX_DEPTH = 16
MAX_NODES = 50_000
MAX_ALIASES = 64
MAX_KEY_LENGTH = 128
MAX_BLANKS = 64
"""Odd blanks of a line that are looked at, for the one to name."""

# A leading zero is octal in YAML 1.1 and is not in 1.2: such a thing is text here.
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?\Z")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_SEPARATES = re.compile(r"(^|[:,{\[-])\s*\Z")
# The longer marks first: UTF-32's begins with UTF-16's.
_OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# What YAML 1.2 calls printable, less the byte-order mark, the line separators that editors count as
# new lines and YAML does not, and the marks that show a line in another order than it is read.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]"
)


def parse_document(data: bytes, file: str) -> Node:
    """Returns the document in `data`.

    Args:
        data: UTF-8, with or without a byte-order mark.
        file: How the file is called in messages.

    Raises:
        PolicyError: With the line and column, if this is not YAML or goes beyond the limits.
    """
    text = _decoded(data, file)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return _Composer(loader, file).document()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = _mark(file, place) if place else Mark(file)
        if blank := _blank_before(error, text, file):
            raise blank from None
        raise mark.error(f"this is not YAML: {_complaint(error, text, mark)}") from None
    except yaml.YAMLError as error:
        raise PolicyError(f"this is not YAML: {quoted(str(error))}", file=file) from None
    finally:
        loader.dispose()


def _complaint(error: yaml.MarkedYAMLError, text: str, mark: Mark) -> str:
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line is not None and mark.line <= len(lines) else ""
    if mark.column is not None and line[mark.column - 1 : mark.column] == "\t":
        return "a tab is not accepted here: indent with spaces"
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{what}; accepted is a map of `key: value` lines"


def _blank_before(error: yaml.MarkedYAMLError, text: str, file: str) -> PolicyError | None:
    """What no one sees and YAML stumbles over, in the lines from where it began to where it ended.

    One right after a colon or a dash, or before the first letter, is the likeliest; a text of
    several lines may well hold others.
    """
    marks = [mark.line for mark in (error.context_mark, error.problem_mark) if mark is not None]
    if not marks:
        return None
    lines = text.split("\n")[: max(marks) + 1]
    first = max(0, min(marks) - 1)
    found = [(n, at) for n in range(first, len(lines)) for at in _blanks_of(lines[n])]
    if not found:
        return None
    number, column = min(
        found, key=lambda place: not _SEPARATES.search(lines[place[0]][: place[1]])
    )
    return Mark(file, number + 1, column + 1).error(
        f"{named(lines[number][column])} stands where YAML expects a plain space or nothing: "
        "remove it or type a plain space"
    )


def _blanks_of(line: str) -> list[int]:
    found: list[int] = []
    at = 0
    while (step := odd_blank(line[at:])) is not None and len(found) < MAX_BLANKS:
        found.append(at + step)
        at += step + 1
    return found


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise PolicyError(
            f"the file has more than the {MAX_BYTES:,} bytes that are accepted",
            file=file,
            line=1,
            column=1,
        )
    for mark, name in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise PolicyError(f"the file is {name}: save it as UTF-8", file=file, line=1, column=1)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        raise PolicyError(
            f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8",
            file=file,
            line=line,
            column=column,
        ) from None
    if found := _FORBIDDEN.search(text):
        start = found.start()
        raise PolicyError(
            f"{named(found[0])} is not accepted here: remove it",
            file=file,
            line=text.count("\n", 0, start) + 1,
            column=start - text.rfind("\n", 0, start),
        )
    return text


def _mark(file: str, mark: Any) -> Mark:
    return Mark(file, mark.line + 1, mark.column + 1)


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


class _Composer:
    """Builds nodes from the event stream, counting as it goes; it never builds a Python object."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader, self._file = loader, file
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._nodes = self._aliases = 0

    def document(self) -> Node:
        self._take()  # the start of the stream
        if isinstance(self._take(), yaml.StreamEndEvent):
            raise PolicyError(
                "the file is empty: accepted is a map of `key: value` lines",
                file=self._file,
                line=1,
                column=1,
            )
        node = self._node(0)
        self._take()  # the end of the document
        following = self._take()
        if not isinstance(following, yaml.StreamEndEvent):
            raise self._place(following).error(
                "a second document begins here: one document a file is accepted"
            )
        return node

    def _take(self) -> Any:
        return self._loader.get_event()

    def _place(self, event: Any) -> Mark:
        return _mark(self._file, event.start_mark)

    def _node(self, depth: int) -> Node:
        event = self._take()
        mark = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark)
        if event.tag is not None:
            raise mark.error(f"the tag {quoted(event.tag)} is not accepted: write a plain value")
        if depth > MAX_DEPTH:
            raise mark.error(
                f"values are nested deeper than the {MAX_DEPTH} levels that are accepted"
            )
        before = self._nodes
        self._count(1, mark)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise mark.error(f"the anchor {quoted(event.anchor)} is defined twice")
            self._anchors[event.anchor] = None  # open: an alias inside it would be endless
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(depth)
        else:
            value = self._mapping(depth)
        node = Node(value, mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _scalar(self, event: Any, mark: Mark) -> Any:
        if event.style in (None, ""):
            return _scalar(event.value)
        if found := _FORBIDDEN.search(event.value):
            raise mark.error(
                f"{named(found[0])}, here written as an escape, is not accepted: remove it"
            )
        return event.value

    def _alias(self, event: Any, mark: Mark) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise mark.error(f"more than the {MAX_ALIASES} aliases that are accepted")
        found = self._anchors.get(event.anchor)
        if found is None:
            known = event.anchor in self._anchors
            why = "contains itself" if known else "is not defined above"
            raise mark.error(f"the alias {quoted('*' + event.anchor)} {why}: write the value out")
        node, size = found
        self._count(size, mark)
        return replace(node, mark=mark)

    def _count(self, nodes: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise mark.error(
                f"more than the {MAX_NODES:,} values that are accepted (aliases count in full)"
            )

    def _sequence(self, depth: int) -> list[Node]:
        items = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._take()
        return items

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            key_node = self._node(depth + 1)
            key, mark = self._key(key_node), key_node.mark
            if key in entries:
                first = entries[key].key_mark
                at = f" (first on line {first.line})" if first else ""
                raise mark.error(f"the key {quoted(key)} stands twice{at}: keep one of them")
            entries[key] = replace(self._node(depth + 1), key_mark=mark)
        self._take()
        return entries

    def _key(self, node: Node) -> str:
        key = node.value
        if key == "<<":
            raise node.mark.error(
                "the merge key '<<' is not accepted: write the values out, or use `extends`"
            )
        if not isinstance(key, str):
            shown = (
                "a map"
                if isinstance(key, dict)
                else "a list"
                if isinstance(key, list)
                else quoted(key)
            )
            raise node.mark.error(f"{shown} is not accepted as a key: accepted is text")
        if (at := odd_blank(key)) is not None:
            raise node.mark.error(
                f"the key {quoted(key)} is not accepted: its character {at + 1} is "
                f"{named(key[at])}, remove it or type a plain space"
            )
        if len(key) > MAX_KEY_LENGTH:
            raise node.mark.error(
                f"a key is longer than the {MAX_KEY_LENGTH} characters that are accepted"
            )
        return key


_PLAIN = re.compile(r"[^\W\d_](?:[\w ./-]*[\w.])?\Z")


def reads_as_text(text: str) -> bool:
    """Returns whether `text`, written without quotes, is read back as this text."""
    return bool(_PLAIN.match(text)) and isinstance(_scalar(text), str)
