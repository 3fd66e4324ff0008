"""Fits the judge's `contrast`: how far its verdict is set off against the one on grey pictures.

The fitted part chooses alpha, each with the scale and bias that go with it; the held-out part
decides whether it stays. It has to beat two judges without contrast there: the one as it is, and
the one with scale and bias alone, which is what contrast amounts to where it only moves all
verdicts to one side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardrail.evaluation.calibration.evidence import Evidence, Split
from guardrail.evaluation.calibration.fit import Fitted, changed
from guardrail.evaluation.calibration.judge_fit import (
    DIGITS,
    believed,
    changed_calibration,
    log_loss_gain,
    unusable,
)
from guardrail.evaluation.calibration.platt import fit_platt, logits
from guardrail.evaluation.calibration.steering_gain import LEAST, Gain, Outcomes
from guardrail.evaluation.metrics import auroc
from guardrail.evaluation.probabilities import log_losses
from guardrail.policy import Policy
from guardrail.policy.terms import LOCAL

ALPHAS = (0.25, 0.5, 1.0, 2.0, 4.0)

EVEN = 0.5
"""Where a calibrated judge is right as often as wrong: from here on it says *unsafe*."""

_OFF: Mapping[str, Any] = {"counterfactual": "none"}


@dataclass(frozen=True)
class Candidate:
    """A judge that could be.

    Attributes:
        name: In the report.
        policy: With it.
        changes: What a policy file says to have it.
    """

    name: str
    policy: Policy
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class JudgeContrastFit:
    """Contrast of the judge's log-odds, or none.

    It is kept only if on the held-out part, against either judge without it, the log loss falls
    with the whole 95% interval above 0, and no part of the interval of the gain in balanced
    accuracy is below 0.
    """

    name: str = "judge-contrast"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns the change to `judge.contrast`, and to the calibration that goes with it."""
        if why := _impossible(policy, split):
            return Fitted(notes=(f"contrast of the judge is not fitted: {why}",))
        judges, contrasts = _without(policy, split.fitted), _contrasts(policy, split.fitted)
        fitted = _compared(split.fitted, (*judges, *contrasts))
        figures: dict[str, Any] = {"fitted": fitted.figures(), "kept": False}
        figures["difference_auroc"] = {
            "fitted": _difference_auroc(split.fitted),
            "held_out": _difference_auroc(split.held_out),
        }
        if not contrasts:
            return _left_off(policy, judges, figures, "no alpha has a usable scale and bias")
        best = fitted.best(contrasts)
        measured = _compared(split.held_out, (*judges, best))
        gains = {each.name: measured.gains(best, each) for each in judges}
        figures |= {"held_out": measured.figures(), "best": best.name}
        figures["over"] = {name: gain.to_json() for name, gain in gains.items()}
        if not measured.outcomes.is_enough:
            return _left_off(policy, judges, figures, _too_few(measured.outcomes))
        found = f"on the held-out part, with {best.name}, "
        found += "; ".join(f"against {name}, {gain}" for name, gain in gains.items())
        if not all(gain.is_shown for gain in gains.values()):
            return _left_off(policy, judges, figures, found)
        note = f"the judge is contrasted with grey pictures: {found}"
        return Fitted(best.changes, {**figures, "kept": True}, (note,))


@dataclass(frozen=True)
class Gains:
    """What one judge gains over another.

    Attributes:
        log_loss: By how much it falls, in nats a request, with its 95% interval.
        accuracy: The gain in balanced accuracy.
    """

    log_loss: tuple[float, tuple[float, float]]
    accuracy: Gain

    @property
    def is_shown(self) -> bool:
        """Whether the log loss falls, and balanced accuracy does not, by their whole intervals."""
        interval = self.accuracy.interval
        return self.log_loss[1][0] > 0 and interval is not None and interval[0] >= 0

    def __str__(self) -> str:
        value, (low, high) = self.log_loss
        return (
            f"log loss falls by {value:.4f} [{low:.4f}, {high:.4f}] and balanced accuracy gains "
            f"{self.accuracy}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns values and intervals as plain JSON."""
        value, interval = self.log_loss
        return {
            "log_loss": {"value": value, "interval": list(interval)},
            "balanced_accuracy": self.accuracy.to_json(),
        }


@dataclass(frozen=True)
class Compared:
    """Judges on the same requests.

    Attributes:
        part: What all of them have a verdict of.
        judges: By name.
        outcomes: Who calls what unsafe, from `EVEN` on.
    """

    part: Evidence
    judges: Mapping[str, Policy]
    outcomes: Outcomes

    def best(self, judges: Sequence[Candidate]) -> Candidate:
        """Returns the one with the lowest log loss; of equals, the first."""
        return min(judges, key=lambda each: self._log_loss(each.name))

    def gains(self, one: Candidate, other: Candidate) -> Gains:
        """Returns what one judge gains over another; the part is not empty."""
        return Gains(
            log_loss_gain(other.policy, one.policy, self.part),
            self.outcomes.gain(one.name, other.name),
        )

    def figures(self) -> dict[str, Any]:
        """Returns each judge's figures as plain JSON."""
        return {name: self._figures(name) for name in self.judges}

    def _log_loss(self, name: str) -> float:
        return float(log_losses(*believed(self.judges[name], self.part)).mean())

    def _figures(self, name: str) -> dict[str, Any]:
        found, policy = self.judges[name].judge, self.judges[name]
        calibration = found.calibration
        return {
            "alpha": found.contrast.alpha if found.contrast.looks else 0.0,
            "scale": 1.0 if calibration is None else calibration.scale,
            "bias": 0.0 if calibration is None else calibration.bias,
            "log_loss": self._log_loss(name) if len(self.part) else None,
            "auroc": auroc(*believed(policy, self.part)),
            **self.outcomes.figures(name),
        }


def _impossible(policy: Policy, split: Split) -> str:
    if policy.judge.kind not in LOCAL:
        return f"a judge of kind {policy.judge.kind} is taken at its word, and looks once"
    for part, name in ((split.fitted, "fitted"), (split.held_out, "held-out")):
        if not any(each.unseen for each in part):
            return f"no request of the {name} part was judged with a grey picture"
        if not len(part.available(_contrasted(policy, 1.0))):
            return f"there is nothing to measure it on in the {name} part"
    return ""


def _without(policy: Policy, fitted: Evidence) -> list[Candidate]:
    """Returns the judges without contrast: as it is, and with the best scale and bias."""
    plain = _uncontrasted(policy)
    # A calibration that was fitted to contrasted verdicts says nothing of others.
    own = changed_calibration(plain, None) if policy.judge.contrast.looks else plain
    name = "uncalibrated" if policy.judge.contrast.looks else "as it is"
    found = [Candidate(name, own, _changes(_OFF, None))]
    if (scaled := _scaled("scaled", changed_calibration(plain, None), _OFF, fitted)) is not None:
        found.append(scaled)
    return found


def _contrasts(policy: Policy, fitted: Evidence) -> list[Candidate]:
    """Returns the judges with contrast, each with its best scale and bias, the weakest first."""
    found = []
    for alpha in ALPHAS:
        said = {"counterfactual": "grey", "alpha": alpha}
        judge = _scaled(f"alpha {alpha:g}", _contrasted(policy, alpha), said, fitted)
        found += [judge] if judge is not None else []
    return found


def _scaled(
    name: str, raw: Policy, contrast: Mapping[str, Any], fitted: Evidence
) -> Candidate | None:
    """Returns an uncalibrated judge with scale and bias; None where they cannot be used."""
    found = fit_platt(*believed(raw, fitted.available(raw)))
    if found is None or unusable(found):
        return None
    scale, bias = (round(number, DIGITS) for number in found)
    changes = _changes(contrast, {"scale": scale, "bias": bias})
    return Candidate(name, changed(raw, changes), changes)


def _changes(contrast: Mapping[str, Any], calibration: Mapping[str, float] | None) -> Any:
    said = {"scale": 1.0, "bias": 0.0} if calibration is None else dict(calibration)
    return {"judge": {"contrast": dict(contrast), "calibration": said}}


def _uncontrasted(policy: Policy) -> Policy:
    judge = policy.judge.model_copy(update={"contrast": _OFF})
    found: Policy = policy.model_copy(update={"judge": judge})
    return found


def _contrasted(policy: Policy, alpha: float) -> Policy:
    """Returns the policy with contrast, and without a calibration."""
    said = {"contrast": {"counterfactual": "grey", "alpha": alpha}, "calibration": None}
    found: Policy = policy.model_copy(update={"judge": policy.judge.model_copy(update=said)})
    return found


def _compared(part: Evidence, judges: Sequence[Candidate]) -> Compared:
    """Returns judges on what all of them have a verdict of."""
    for each in judges:
        part = part.available(each.policy)
    calls = {each.name: believed(each.policy, part)[0] >= EVEN for each in judges}
    outcomes = Outcomes(
        unsafe=np.array([each.unsafe for each in part], dtype=bool),
        cluster=np.array(part.cluster_numbers, dtype=np.int64),
        refused=calls,
    )
    return Compared(part, {each.name: each.policy for each in judges}, outcomes)


def _difference_auroc(part: Evidence) -> float | None:
    """Returns how well the difference alone tells the sides apart, in its highest category."""
    rows = [each for each in part if each.categories and each.unseen]
    differences = [
        max(
            float(logits(np.array(p)) - logits(np.array((each.unseen or {})[name])))
            for name, p in each.categories.items()
        )
        for each in rows
    ]
    return auroc(np.array(differences), np.array([each.unsafe for each in rows], dtype=bool))


def _left_off(
    policy: Policy, judges: Sequence[Candidate], figures: Mapping[str, Any], why: str
) -> Fitted:
    """Returns no contrast; where there was some, the calibration that goes without it."""
    changes = judges[-1].changes if policy.judge.contrast.looks else {}
    return Fitted(changes, figures, (f"contrast of the judge is left off: {why}",))


def _too_few(measured: Outcomes) -> str:
    safe, unsafe = measured.clusters
    return (
        f"the held-out part has {safe} clusters with safe and {unsafe} with unsafe requests, and "
        f"it takes {LEAST} of each"
    )
