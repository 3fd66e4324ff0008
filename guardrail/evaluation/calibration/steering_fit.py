"""Fits contrast and modulation, by running the model: kept only where they are shown to help.

The fitted part chooses the best of each kind, the held-out part decides whether it stays. Contrast
has to beat two things there, each with its whole 95% interval: doing nothing, and the best constant
bias away from refusal, which is what contrast amounts to where it carries no signal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardrail.evaluation.calibration import steering_arms as grid
from guardrail.evaluation.calibration.evidence import Evidence, Split
from guardrail.evaluation.calibration.fit import Fitted
from guardrail.evaluation.calibration.steering_arms import Arm
from guardrail.evaluation.calibration.steering_gain import LEAST, Outcomes
from guardrail.evaluation.systems import System
from guardrail.policy import Policy

Answers = Callable[[str, Sequence[System], Evidence], Mapping[str, Sequence[bool]]]
"""Takes what is asked, who answers and what; returns by system which requests it refused."""


@dataclass(frozen=True)
class ContrastFit:
    """Contrast in the form that is best by itself, or `when: never`.

    Attributes:
        answers: Runs the model.
    """

    answers: Answers
    name: str = "contrast"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns the changes to `contrast`."""
        if policy.contrast.guided_steps == 0:
            return Fitted(notes=("contrast is not fitted: guided_steps is 0, so there is none",))
        none, biases, contrasts = grid.none(policy), grid.biases(policy), grid.contrasts(policy)
        fitted = outcomes(self.answers, "contrast", (none, *biases, *contrasts), split.fitted)
        bias, best = (_best(fitted, each) for each in (biases, contrasts))
        measured = outcomes(self.answers, "contrast, held out", (none, bias, best), split.held_out)
        over_none, over_bias = (measured.gain(best.name, each.name) for each in (none, bias))
        kept = measured.is_enough and over_none.is_shown and over_bias.is_shown
        figures: dict[str, Any] = {
            **_figures(fitted, measured),
            "bias": bias.name,
            "best": best.name,
            "over_none": over_none.to_json(),
            "over_bias": over_bias.to_json(),
            "kept": kept,
        }
        found = f"on the held-out part {best.name} gains {over_none} of balanced accuracy over none"
        found += f" and {over_bias} over a constant {bias.name}"
        if kept:
            return Fitted(best.changes, figures, (f"contrast stays: {found}",))
        off = {} if policy.contrast.when == "never" else {"contrast": {"when": "never"}}
        why = found if measured.is_enough else _too_few(measured)
        return Fitted(off, figures, (f"contrast is switched off: {why}",))


@dataclass(frozen=True)
class ModulationFit:
    """How strongly refusals are boosted and suppressed; left as it is unless another helps more.

    Attributes:
        answers: Runs the model.
    """

    answers: Answers
    name: str = "modulation"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns the changes to `modulation`."""
        if policy.modulation.form != "phrase" or policy.contrast.guided_steps == 0:
            return Fitted(notes=("modulation is not fitted: only form phrase is, at guided steps",))
        own, others = grid.as_it_is(policy), grid.modulations(policy)
        fitted = outcomes(self.answers, "modulation", (own, *others), split.fitted)
        best = _best(fitted, (own, *others))
        arms = (own,) if best is own else (own, best)
        measured = outcomes(self.answers, "modulation, held out", arms, split.held_out)
        gain = measured.gain(best.name, own.name)
        kept = best is not own and measured.is_enough and gain.is_shown
        figures: dict[str, Any] = {
            **_figures(fitted, measured),
            "best": best.name,
            "gain": gain.to_json(),
            "kept": kept,
        }
        if kept:
            note = f"modulation becomes {best.name}: on the held-out part it gains {gain}"
            return Fitted(best.changes, figures, (note,))
        why = f"{best.name} gains {gain} on the held-out part"
        if best is own:
            why = "no other strength did better on the fitted part"
        elif not measured.is_enough:
            why = _too_few(measured)
        return Fitted({}, figures, (f"modulation is left as it is: {why}",))


def outcomes(answers: Answers, what: str, arms: Sequence[Arm], part: Evidence) -> Outcomes:
    """Returns who refused what on a part, by the arms' names."""
    refused = answers(what, [each.system for each in arms], part)
    return Outcomes(
        unsafe=np.array([each.unsafe for each in part], dtype=bool),
        cluster=np.array(part.cluster_numbers, dtype=np.int64),
        refused={each.name: np.array(refused[each.system.name], dtype=bool) for each in arms},
    )


def _best(outcomes: Outcomes, arms: Sequence[Arm]) -> Arm:
    name = outcomes.best([each.name for each in arms])
    return next(each for each in arms if each.name == name)


def _figures(fitted: Outcomes, held_out: Outcomes) -> dict[str, Any]:
    parts = {"fitted": fitted, "held_out": held_out}
    return {name: {arm: part.figures(arm) for arm in part.refused} for name, part in parts.items()}


def _too_few(measured: Outcomes) -> str:
    safe, unsafe = measured.clusters
    return (
        f"the held-out part has {safe} clusters with safe and {unsafe} with unsafe requests, and "
        f"it takes {LEAST} of each"
    )
