"""The options of `guardrail calibrate`, checked before any work is done."""

from __future__ import annotations

import math
from collections.abc import Sequence

from guardrail.errors import SettingsError
from guardrail.evaluation.calibration import GUARANTEES, Guarantee, Target, parse_targets
from guardrail.policy import Policy
from guardrail.policy.suggest import did_you_mean, listed
from guardrail.policy.terms import LOCAL

PARTS = ("judge-contrast", "judge", "thresholds", "steering")
DEFAULT = "judge,thresholds"


def parse_parts(text: str) -> tuple[str, ...]:
    """Returns what is to be fitted, in the order in which it is.

    Args:
        text: Names of `PARTS`, separated by commas.

    Raises:
        SettingsError: One is unknown, or there is none.
    """
    named = [each.strip() for each in text.split(",") if each.strip()]
    for each in named:
        if each not in PARTS:
            raise SettingsError(
                f"fit is {each!r}{did_you_mean(each, PARTS)}, expected any of {', '.join(PARTS)}"
            )
    if not named:
        raise SettingsError(f"fit is {text!r}, expected any of {', '.join(PARTS)}")
    return tuple(each for each in PARTS if each in named)


def unseen_for(parts: Sequence[str], policy: Policy) -> bool:
    """Returns whether the judge's verdicts with grey pictures are needed, too."""
    asked = "judge-contrast" in parts or policy.judge.contrast.looks
    return asked and policy.judge.kind in LOCAL


def targets_for(texts: Sequence[str], parts: Sequence[str], repeat: int) -> tuple[Target, ...]:
    """Returns what thresholds are fitted to; nothing without thresholds."""
    if "thresholds" in parts:
        return parse_targets(texts)
    if texts:
        raise SettingsError(f"target is {texts[0]!r}, and --fit has no thresholds to keep it")
    if repeat:
        raise SettingsError(
            f"repeat is {repeat}, and --fit has no thresholds that promise anything"
        )
    return ()


def check_confidence(confidence: float) -> None:
    """Raises a `SettingsError` where it is out of its range."""
    if not (math.isfinite(confidence) and 0.5 <= confidence < 1):
        raise SettingsError(f"confidence is {confidence}, expected a number from 0.5 to below 1")


def guarantee_of(name: str) -> Guarantee:
    """Returns the guarantee of that name, or raises a `SettingsError`."""
    for each in GUARANTEES:
        if name == each:
            return each
    raise SettingsError(f"guarantee is {name!r}, expected one of {', '.join(GUARANTEES)}")


def kinds_of(pairs: Sequence[str], policy: Policy) -> dict[str, str]:
    """Returns the policy's category for the data set's categories, from NAME=ID."""
    known = [each.id for each in policy.categories]
    kinds = {}
    for pair in pairs:
        name, separator, found = pair.rpartition("=")
        if not separator or not name:
            raise SettingsError(f"category is {pair!r}, expected NAME=ID")
        if found not in known:
            raise SettingsError(
                f"category is {pair!r}, and the policy has no category {found!r}"
                f"{did_you_mean(found, known)}: accepted are {listed(known)}"
            )
        kinds[name] = found
    return kinds
