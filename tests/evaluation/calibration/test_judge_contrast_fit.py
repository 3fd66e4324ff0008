"""Contrast of the judge: kept where it has signal that scale and bias have not, else left off."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from guardrail.evaluation.calibration import (
    Evidence,
    Fitted,
    JudgeContrastFit,
    Split,
    fit_all,
    fits_for,
    parse_targets,
)
from guardrail.evaluation.calibration.evidence import split
from guardrail.evaluation.calibration.fit import changed
from guardrail.evaluation.calibration.judge_contrast_fit import ALPHAS
from guardrail.evaluation.calibration.judge_fit import JudgeFit
from guardrail.evaluation.calibration.threshold_fit import cluster_scores
from guardrail.policy import Policy

from .evidence_made import both, evidence, judged, policy

PAIRS = 120
OFF = {"counterfactual": "none"}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def made(judge: Any, seed: int, count: int = PAIRS) -> Evidence:
    """Pairs of a safe and an unsafe request.

    Args:
        judge: From a generator, the labels (-1 and 1) and what a pair's words alone make of it, to
            the log-odds seen and unseen; each (2 * count,).
    """
    rng = np.random.default_rng(seed)
    labels = np.tile([-1.0, 1.0], count)
    words = np.repeat(rng.normal(0, 1.5, count), 2)
    seen, unseen = (sigmoid(each) for each in judge(rng, labels, words))
    return Evidence(
        tuple(
            replace(
                judged(at // 2, "unsafe" if labels[at] > 0 else "safe", float(seen[at])),
                unseen={"harm": float(unseen[at])},
            )
            for at in range(2 * count)
        )
    )


def by_noise(rng: Any, labels: Any, words: Any) -> Any:
    """What is said unseen has to do with nothing."""
    return labels + rng.normal(0, 1, labels.size), rng.normal(0, 1, labels.size)


def by_a_shift(rng: Any, labels: Any, words: Any) -> Any:
    """A grey picture is always called a little more harmful; the judge says yes too seldom."""
    seen = labels - 1.5 + rng.normal(0, 1, labels.size)
    return seen, seen + 0.5 + rng.normal(0, 0.2, labels.size)


def by_the_picture(rng: Any, labels: Any, words: Any) -> Any:
    """Words move both looks alike, and the picture the one that sees it."""
    return labels + words + rng.normal(0, 0.5, labels.size), words


def fitted(
    judge: Any, seed: int, with_policy: Policy | None = None, *, count: int = PAIRS
) -> Fitted:
    parts = split(made(judge, seed, count), seed=seed)
    return JudgeContrastFit()(with_policy or policy(), parts)


@pytest.mark.parametrize("judge", [by_noise, by_a_shift])
def test_contrast_that_is_noise_is_left_off_in_95_of_100_sets(judge: Any) -> None:
    found = [fitted(judge, seed, count=60) for seed in range(100)]
    assert sum(each.changes == {} for each in found) >= 95
    assert all("is left off" in each.notes[0] for each in found if not each.changes)


def test_contrast_that_carries_signal_is_kept_with_its_scale_and_bias() -> None:
    found = [fitted(by_the_picture, seed) for seed in range(20)]
    kept = [each for each in found if each.figures["kept"]]
    assert len(kept) >= 19
    for each in kept:
        judge = each.changes["judge"]
        assert judge["contrast"]["counterfactual"] == "grey"
        assert judge["contrast"]["alpha"] in ALPHAS
        assert judge["contrast"]["alpha"] >= 1
        assert set(judge["calibration"]) == {"scale", "bias"}
        for gain in each.figures["over"].values():
            assert gain["log_loss"]["interval"][0] > 0
            assert gain["balanced_accuracy"]["interval"][0] >= 0
        assert "is contrasted with grey pictures: on the held-out part, with alpha" in each.notes[0]


def test_a_shift_that_scale_and_bias_do_as_well_is_not_worth_a_look() -> None:
    found = fitted(by_a_shift, 0)
    assert found.figures["over"]["as it is"]["log_loss"]["interval"][0] > 0
    assert found.figures["over"]["scaled"]["log_loss"]["interval"][0] <= 0
    assert found.changes == {}


def test_the_fitted_part_alone_chooses() -> None:
    parts = split(made(by_the_picture, 0), seed=0)
    other = split(made(by_noise, 1), seed=0)
    found = [
        JudgeContrastFit()(policy(), each) for each in (parts, Split(parts.fitted, other.held_out))
    ]
    assert found[0].figures["fitted"] == found[1].figures["fitted"]
    assert found[0].figures["best"] == found[1].figures["best"]
    assert found[0].changes
    assert found[1].changes == {}


def test_figures_are_those_by_hand() -> None:
    rows = [("safe", 0.2, 0.5), ("safe", 0.5, 0.8), ("unsafe", 0.8, 0.5), ("unsafe", 0.4, 0.5)]
    part = Evidence(
        tuple(
            replace(judged(at, side, p), unseen={"harm": grey})
            for at, (side, p, grey) in enumerate(rows)
        )
    )
    found = JudgeContrastFit()(policy(), both(part)).figures["fitted"]
    assert found["as it is"]["log_loss"] == pytest.approx(
        -sum(math.log(p) for p in (0.8, 0.5, 0.8, 0.4)) / 4
    )
    assert found["as it is"]["wrong_refusals"]["count"] == 1  # 0.5 is unsafe
    assert found["as it is"]["wrong_answers"]["count"] == 1
    assert found["as it is"]["balanced_accuracy"] == 0.5
    assert found["as it is"]["auroc"] == 0.75
    # Contrasted at alpha 1 the log-odds are -log 16, -log 4, log 16 and -2 log 1.5: in order.
    assert found["alpha 1"]["auroc"] == 1.0
    whole = JudgeContrastFit()(policy(), both(part))
    assert whole.figures["difference_auroc"] == {"fitted": 1.0, "held_out": 1.0}
    assert whole.changes == {}
    assert "2 clusters with safe and 2 with unsafe requests, and it takes 20" in whole.notes[0]


def test_later_fits_see_contrasted_scores() -> None:
    parts = split(made(by_the_picture, 0), seed=0)
    targets = parse_targets(["wrong_refusals <= 0.2"])
    fits = (JudgeContrastFit(), *fits_for(targets, confidence=0.9))
    found = fit_all(policy(), parts, fits)
    alone = fit_all(policy(), parts, fits[1:])
    assert found.policy.judge.contrast.looks
    assert found.policy.judge.calibration is not None
    assert found.parts["judge"].changes == {}  # scale and bias went with alpha
    scores, plain = (
        cluster_scores(each.policy, parts.fitted, unsafe=False, category=None)
        for each in (found, alone)
    )
    reached = sum(score >= found.policy.verdict.unsafe_at for score in scores)
    assert reached == found.parts["thresholds"].figures["targets"]["wrong_refusals"]["allowed"]
    assert scores != plain
    assert found.policy.verdict.unsafe_at < alone.policy.verdict.unsafe_at


def contrasting(alpha: float = 2.0) -> Policy:
    contrast = {"counterfactual": "grey", "alpha": alpha}
    return policy(judge={"contrast": contrast, "calibration": {"scale": 3.0, "bias": 1.0}})


def test_contrast_that_was_on_is_switched_off_with_its_calibration() -> None:
    found = fitted(by_noise, 0, contrasting())
    assert found.changes["judge"]["contrast"] == OFF
    scaled = found.figures["fitted"]["scaled"]
    assert found.changes["judge"]["calibration"] == {k: scaled[k] for k in ("scale", "bias")}
    assert not changed(contrasting(), found.changes).judge.contrast.looks
    assert "uncalibrated" in found.figures["fitted"]
    assert fitted(by_the_picture, 0, contrasting()).changes == fitted(by_the_picture, 0).changes


def test_a_judge_in_doubt_of_labels_is_not_contrasted() -> None:
    upside_down = fitted(lambda rng, labels, words: (-labels + words, words), 0)
    assert upside_down.changes == {}
    assert "no alpha has a usable scale and bias" in upside_down.notes[0]


@pytest.mark.parametrize("kind", ["chat", "callable"])
def test_judges_that_look_once_are_not_fitted(kind: str) -> None:
    found = fitted(by_the_picture, 0, policy(judge={"kind": kind}))
    assert (found.changes, found.figures) == ({}, {})
    assert f"kind {kind} is taken at its word" in found.notes[0]


def test_without_a_grey_picture_nothing_is_fitted() -> None:
    found = JudgeContrastFit()(policy(), both(evidence([0.1] * 30, [0.9] * 30)))
    assert found.changes == {}
    assert "was judged with a grey picture" in found.notes[0]


def test_a_grey_look_that_failed_is_no_verdict_where_it_counts() -> None:
    failed = replace(judged(0, "safe", 0.2), unseen={})
    assert failed.verdict(policy()).p_unsafe == 0.2
    assert failed.verdict(contrasting()).error == "the judge failed"
    textual = judged(1, "safe", 0.2)
    assert textual.verdict(policy(judge={"contrast": {"counterfactual": "grey"}})).p_unsafe == 0.2
    part = Evidence((failed, textual))
    assert len(part.available(policy())) == 2
    assert len(part.available(contrasting())) == 1
    assert JudgeFit()(contrasting(), both(part)).figures["before"]["n"] == 1


def test_requests_whose_grey_look_failed_are_not_compared() -> None:
    whole = made(by_the_picture, 0)
    rows = tuple(replace(each, unseen={}) if at < 4 else each for at, each in enumerate(whole))
    found = JudgeContrastFit()(policy(), split(Evidence(rows), seed=0))
    parts = (found.figures["fitted"]["as it is"], found.figures["held_out"]["as it is"])
    counted = sum(each[kind]["n"] for each in parts for kind in ("wrong_refusals", "wrong_answers"))
    assert counted == 2 * PAIRS - 4
