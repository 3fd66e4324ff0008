"""Calibration is Platt scaling, and can be undone."""

import pytest

from guardrail.policy.calibration import calibrate, uncalibrate


def test_calibration_is_platt_scaling() -> None:
    assert calibrate(0.5, scale=2.0, bias=0.0) == pytest.approx(0.5)
    assert calibrate(0.8, scale=1.0, bias=0.0) == pytest.approx(0.8)
    assert calibrate(0.8, scale=2.0, bias=0.0) == pytest.approx(16 / 17)
    assert 0 < calibrate(0.0, scale=1.0, bias=0.0) < calibrate(1.0, scale=1.0, bias=0.0) < 1


@pytest.mark.parametrize("p", [1e-5, 0.2, 0.5, 0.97, 1 - 1e-5])
def test_uncalibrating_gives_back_what_was_calibrated(p: float) -> None:
    assert uncalibrate(calibrate(p, scale=0.7, bias=-0.4), scale=0.7, bias=-0.4) == pytest.approx(p)
    assert calibrate(p, scale=1e4, bias=0.0) in (0.0, pytest.approx(0.5), 1.0)
