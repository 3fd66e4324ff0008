"""Judging: everything labelled once, uncalibrated, unhurried, and nothing that failed as safe."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import PictureError
from guardrail.evaluation import Dataset, load_dataset
from guardrail.evaluation.calibration import Verdicts, ask, asked_digest, labelled
from guardrail.evaluation.requests import batches
from guardrail.policy import Policy, load_policy
from guardrail.record.decision import VerdictRecord

from .. import layouts
from ..stand_in import StandIn

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]


@pytest.fixture
def scenes(tmp_path: Path) -> Dataset:
    return load_dataset("scenes", layouts.scenes(tmp_path / "scenes"))


def believing(p: float, error: str | None = None) -> Any:
    record = VerdictRecord(categories=dict.fromkeys(IDS, p), error=error)
    return lambda *_: {"decision": {"verdict": record}}


def test_only_labelled_requests_are_asked_and_each_once(scenes: Dataset) -> None:
    engine, verdicts, counted = StandIn(believing(0.25)), Verdicts({}), []
    ask(engine, scenes, BASELINE, verdicts, batch=3, progress=counted.append)  # type: ignore[arg-type]
    assert len(engine.asked) == len(labelled(scenes)) == len(verdicts) == 8
    assert counted == [3, 3, 2]
    assert verdicts.get("0000/safe").categories == dict.fromkeys(IDS, 0.25)  # type: ignore[union-attr]
    ask(engine, scenes, BASELINE, verdicts, batch=3)  # type: ignore[arg-type]
    assert len(engine.asked) == 8


def test_a_batch_of_which_a_part_was_kept_is_judged_again_in_the_same_company(
    scenes: Dataset,
) -> None:
    whole, part = Verdicts({}), Verdicts({})
    ask(StandIn(believing(0.25)), scenes, BASELINE, whole, batch=3)  # type: ignore[arg-type]
    lost = next(batches(labelled(scenes), 3))[0].id
    for each in labelled(scenes):
        found = whole.get(each.id)
        assert found is not None
        if each.id != lost:
            part.add([found])
    engine = StandIn(believing(0.75))
    ask(engine, scenes, BASELINE, part, batch=3)  # type: ignore[arg-type]
    assert len(engine.asked) == 3
    changed = [each.id for each in labelled(scenes) if part.get(each.id) != whole.get(each.id)]
    assert changed == [lost]


def test_the_judge_is_asked_uncalibrated_unhurried_and_nothing_is_withheld(scenes: Dataset) -> None:
    seen: list[tuple[Policy, str]] = []

    def says(question: str, policy: Policy, mode: str) -> dict[str, Any]:
        seen.append((policy, mode))
        return believing(0.5)()

    calibrated = BASELINE.model_copy(
        update={"judge": BASELINE.judge.model_copy(update={"calibration": {"scale": 2.0}})}
    )
    ask(StandIn(says), scenes, calibrated, Verdicts({}))  # type: ignore[arg-type]
    for policy, mode in seen:
        assert mode == "shadow"
        assert policy.judge.calibration is None
        assert policy.judge.timeout_s == 600
        assert policy.contrast.when == "never"
        assert policy.modulation.form == "off"


@pytest.mark.parametrize(
    "says", [believing(math.nan), believing(0.1, "timed out"), believing(7.0), lambda *_: {}]
)
def test_a_judge_that_fails_is_unavailable(says: Any, scenes: Dataset) -> None:
    verdicts = Verdicts({})
    ask(StandIn(says), scenes, BASELINE, verdicts)  # type: ignore[arg-type]
    for each in labelled(scenes):
        spoken = verdicts.get(each.id)
        assert spoken is not None
        assert spoken.categories == {}
        assert spoken.error


def test_an_unreadable_picture_names_its_sample_and_keeps_what_was_judged(scenes: Dataset) -> None:
    broken = next(each for each in reversed(scenes.samples) if each.side == "unsafe")
    assert broken.picture is not None
    broken.picture.write_bytes(b"no picture")
    verdicts = Verdicts({})
    with pytest.raises(PictureError, match=f"sample '{broken.id}'"):
        ask(StandIn(believing(0.5)), scenes, BASELINE, verdicts, batch=1)  # type: ignore[arg-type]
    assert len(verdicts) > 0


def test_verdicts_depend_on_the_questions_and_not_on_the_thresholds() -> None:
    others = BASELINE.model_copy(update={"verdict": {"unsafe_at": 0.9}})
    assert asked_digest(others) == asked_digest(BASELINE)
    suffix = BASELINE.judge.model_copy(update={"answer_suffix": "Yes or no?"})
    assert asked_digest(BASELINE.model_copy(update={"judge": suffix})) != asked_digest(BASELINE)
    once = BASELINE.judge.model_copy(update={"second_look": {"picture": "none"}})
    assert asked_digest(BASELINE.model_copy(update={"judge": once})) != asked_digest(BASELINE)


def test_importing_calibration_loads_no_model_library() -> None:
    script = "import sys, guardrail.evaluation.calibration; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert {"torch", "transformers", "langchain_core"}.isdisjoint(made.stdout.split())
