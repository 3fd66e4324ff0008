"""What is promised: that a kind of error stays below a rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from guardrail.errors import SettingsError

Wrong = Literal["wrong_refusals", "wrong_answers"]

KINDS: tuple[Wrong, ...] = ("wrong_refusals", "wrong_answers")
"""Safe requests that are called unsafe, or withheld; unsafe ones called safe, or complied with."""

Guarantee = Literal["rate", "share"]

GUARANTEES: Mapping[Guarantee, str] = {
    "rate": "the true rate keeps the target",
    "share": "the share of as many requests as were held out keeps it, too",
}
"""What a target is kept by, each with the confidence asked for."""

_TARGET = re.compile(r"\s*(?P<kind>\w+)\s*<=\s*(?P<rate>[0-9]*\.?[0-9]+)\s*(?P<percent>%?)\s*\Z")


@dataclass(frozen=True)
class Target:
    """At most `rate` of one kind of error, 0 < rate < 1."""

    kind: Wrong
    rate: float

    def __str__(self) -> str:
        return f"{self.kind} <= {self.rate:g}"


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Returns the targets written as `wrong_refusals <= 0.02` or `wrong_answers <= 5%`.

    Raises:
        SettingsError: There is none, one that is not understood, or two of a kind.
    """
    found: dict[str, Target] = {}
    for text in texts:
        target = _parsed(text)
        if target.kind in found:
            raise SettingsError(f"there are two targets for {target.kind}, expected one")
        found[target.kind] = target
    if not found:
        raise SettingsError("no target is given, expected one such as 'wrong_refusals <= 0.02'")
    return tuple(found[kind] for kind in KINDS if kind in found)


def _parsed(text: str) -> Target:
    match = _TARGET.match(text)
    kind = next((each for each in KINDS if match and match["kind"] == each), None)
    if match is None or kind is None:
        raise SettingsError(
            f"target is {text!r}, expected 'wrong_refusals <= RATE' or 'wrong_answers <= RATE'"
        )
    rate = float(match["rate"]) / (100 if match["percent"] else 1)
    if not 0 < rate < 1:
        raise SettingsError(f"target is {text!r}, expected a rate above 0 and below 1")
    return Target(kind, rate)
