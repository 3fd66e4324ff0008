"""What `guardrail calibrate` makes of kept looks is what a guarded model is judged by."""

from pathlib import Path
from typing import Any

import pytest

from guardrail.evaluation import Dataset, load_dataset
from guardrail.evaluation.calibration import Verdicts, ask, evidence_of, labelled
from guardrail.evaluation.requests import conversation_of
from guardrail.judging.hearing import Hearing
from guardrail.policy import Policy
from tests.evaluation import layouts

from .guarded import GREEDY, engine, policy

FAMILIES = ("qwen3_vl", "llava")
JUDGE: dict[str, Any] = {
    "kind": "self",
    "contrast": {"counterfactual": "grey", "alpha": 1.5},
    "calibration": {"scale": 0.5, "bias": 0.2},
    "competence": {"evidence": "none"},
}


@pytest.fixture
def scenes(tmp_path: Path) -> Dataset:
    made = load_dataset("scenes", layouts.scenes(tmp_path / "scenes"))
    return Dataset("made", tuple(labelled(made)[:3]))


def contrasting(**judge: Any) -> Policy:
    return policy({"judge": {**JUDGE, **judge}})


@pytest.mark.parametrize(("family", "look"), [("qwen3_vl", "none"), ("llava", "mirror")])
def test_what_is_measured_is_what_counts_at_run_time(
    family: str, look: str, scenes: Dataset
) -> None:
    judged = contrasting(second_look={"picture": look, "above": 0.0, "below": 1.0})
    verdicts = Verdicts({})
    ask(engine(family), scenes, judged, verdicts, batch=2, unseen=True)
    for row in evidence_of(scenes, verdicts, unseen=True):
        asked = conversation_of(row.sample)
        found = engine(family).answer(asked, GREEDY, policy=judged).decision.verdict
        assert found.categories == pytest.approx(dict(row.verdict(judged).categories), abs=1e-4)
        assert found.categories != pytest.approx(dict(row.categories), abs=1e-3)
        assert all(view.endswith(", against grey") for view in found.views.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_requests_of_a_batch_are_looked_at_unseen_together(
    family: str, scenes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    original = Hearing._looked_at

    def counted(self: Hearing, parts: Any, stop: Any) -> Any:
        looked.append(len(parts))
        return original(self, parts, stop)

    monkeypatch.setattr(Hearing, "_looked_at", counted)
    asked = [conversation_of(each) for each in scenes]
    answers = engine(family).batch(asked, GREEDY, policy=contrasting(views="whole"))
    assert looked == [len(asked)]
    assert all("contrast_look" in each.decision.timings_ms for each in answers)


def test_a_prompt_that_cannot_be_run_unseen_is_no_verdict(
    scenes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, parts: Any, stop: Any) -> Any:
        from guardrail.policy.verdict import Verdict

        return [Verdict.unavailable("out of memory")] * len(parts)

    monkeypatch.setattr(Hearing, "_looked_at", broken)
    asked = conversation_of(scenes.samples[0])
    decision = engine("qwen3_vl").answer(asked, GREEDY, policy=contrasting()).decision
    assert decision.verdict.error == "out of memory"
    assert decision.action == "block"
