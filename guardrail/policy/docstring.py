"""A class's docstring, taken apart: its text, and what it says of each attribute.

It knows as much of Google's style as this package uses: a section `Attributes:` of `name: words`,
whose words may go on in deeper lines, at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from inspect import cleandoc

_SECTION = "Attributes:"
_NAME = re.compile(r"^ {4}(\w+): ", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """What a docstring says.

    Attributes:
        text: All before its attributes, each paragraph on one line.
        attributes: What it says of each attribute, on one line.
    """

    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, documented: type) -> Docstring:
        """Returns the docstring of a class, and not that of its bases; empty without one."""
        text, _, listed = cleandoc(documented.__dict__.get("__doc__") or "").partition(_SECTION)
        _, *parts = _NAME.split(listed)
        words = dict(zip(parts[::2], map(_joined, parts[1::2]), strict=True))
        return cls("\n\n".join(map(_joined, text.strip().split("\n\n"))), words)


def _joined(text: str) -> str:
    return " ".join(text.split())
