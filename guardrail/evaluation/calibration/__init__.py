"""Calibration: a judge's scale and bias, thresholds and steering, from a labelled set.

It asks the judge once (for contrast, once more with grey pictures), fits on one part, measures on
the other, and writes a policy. Everything but `asking` and `answering` is arithmetic and needs no
model; importing it loads neither torch nor transformers.
"""

from guardrail.evaluation.calibration.asking import ask, asked_digest, asked_of, labelled
from guardrail.evaluation.calibration.evidence import Evidence, Judged, Split, evidence_of, split
from guardrail.evaluation.calibration.fit import Calibrated, Fit, Fitted, fit_all
from guardrail.evaluation.calibration.judge_contrast_fit import JudgeContrastFit
from guardrail.evaluation.calibration.promise import promise
from guardrail.evaluation.calibration.report import calibrate, fits_for
from guardrail.evaluation.calibration.steering_fit import ContrastFit, ModulationFit
from guardrail.evaluation.calibration.targets import GUARANTEES, Guarantee, Target, parse_targets
from guardrail.evaluation.calibration.verdicts import Spoken, Verdicts

__all__ = [
    "GUARANTEES",
    "Calibrated",
    "ContrastFit",
    "Evidence",
    "Fit",
    "Fitted",
    "Guarantee",
    "JudgeContrastFit",
    "Judged",
    "ModulationFit",
    "Split",
    "Spoken",
    "Target",
    "Verdicts",
    "ask",
    "asked_digest",
    "asked_of",
    "calibrate",
    "evidence_of",
    "fit_all",
    "fits_for",
    "labelled",
    "parse_targets",
    "promise",
    "split",
]
