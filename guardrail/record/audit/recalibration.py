"""Recorded probabilities, as another policy's calibration would have had them."""

from __future__ import annotations

from collections.abc import Mapping

from guardrail.policy import judge
from guardrail.policy.calibration import calibrate, uncalibrate
from guardrail.record.audit.record import Calibration


def recalibrated(
    categories: Mapping[str, float], old: Calibration | None, new: judge.Calibration | None
) -> dict[str, float]:
    """Takes one calibration off probabilities by category, and puts another on.

    Args:
        categories: As they were recorded.
        old: The calibration that they were recorded with.
        new: The other.
    """
    if _numbers(old) == _numbers(new):
        return dict(categories)
    return {name: _recalibrated(p, old, new) for name, p in categories.items()}


def _numbers(calibration: Calibration | judge.Calibration | None) -> tuple[float, float]:
    return (1.0, 0.0) if calibration is None else (calibration.scale, calibration.bias)


def _recalibrated(p: float, old: Calibration | None, new: judge.Calibration | None) -> float:
    """What is no probability stays."""
    if not 0 <= p <= 1:
        return p
    raw = p if old is None else uncalibrate(p, scale=old.scale, bias=old.bias)
    return raw if new is None else calibrate(raw, scale=new.scale, bias=new.bias)
