"""The judge's looks at grey pictures: asked on demand, as they are at run time, kept beside."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation import Dataset, Sample, load_dataset
from guardrail.evaluation.calibration import (
    Verdicts,
    ask,
    asked_digest,
    asked_of,
    evidence_of,
    labelled,
)
from guardrail.evaluation.calibration.answering import kept_judge
from guardrail.evaluation.calibration.verdicts import Spoken
from guardrail.evaluation.requests import conversation_of
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy, load_policy
from guardrail.record.decision import VerdictRecord

from .. import layouts
from ..stand_in import StandIn
from .evidence_made import policy

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]


class Seeing(StandIn):
    """Says one probability of pictures, and another of grey ones; it keeps the policies."""

    def __init__(self, seen: float = 0.75, unseen: float = 0.25, error: str | None = None) -> None:
        super().__init__(lambda *_: {})
        self.p = {False: seen, True: unseen}
        self.error = error
        self.looks: list[tuple[str, bool]] = []
        self.policies: dict[bool, Policy] = {}

    def _answer(self, conversation: Any, policy: Policy, mode: Any) -> Any:
        grey = any(each.digest.startswith("grey ") for each in conversation.pictures)
        self.looks.append((conversation.turns[-1].text, grey))
        self.policies[grey] = policy
        record = VerdictRecord(
            categories=dict.fromkeys(IDS, self.p[grey]), error=self.error if grey else None
        )
        self._says = lambda *_: {"decision": {"verdict": record}}
        return super()._answer(conversation, policy, mode)

    def count(self, *, grey: bool) -> int:
        return sum(look == grey for _, look in self.looks)


@pytest.fixture
def scenes(tmp_path: Path) -> Dataset:
    return load_dataset("scenes", layouts.scenes(tmp_path / "scenes"))


def asking(engine: StandIn, dataset: Dataset, verdicts: Verdicts, **how: Any) -> None:
    ask(engine, dataset, BASELINE, verdicts, batch=3, **how)  # type: ignore[arg-type]


def test_grey_pictures_are_judged_only_on_demand_and_each_once(scenes: Dataset) -> None:
    engine, verdicts, counted = Seeing(), Verdicts({}), list[int]()
    asking(engine, scenes, verdicts)
    assert engine.count(grey=True) == 0
    asking(engine, scenes, verdicts, unseen=True, progress=counted.append)
    assert (engine.count(grey=False), engine.count(grey=True)) == (8, 8)
    assert counted == [3, 3, 2] * 2
    asking(engine, scenes, verdicts, unseen=True)
    assert len(engine.looks) == 16
    for each in labelled(scenes):
        seen, grey = (verdicts.get(each.id, unseen=unseen) for unseen in (False, True))
        assert seen == Spoken(each.id, dict.fromkeys(IDS, 0.75))
        assert grey == Spoken(each.id, dict.fromkeys(IDS, 0.25), unseen=True)


def test_they_are_looked_at_as_a_hearing_looks_at_them(scenes: Dataset) -> None:
    engine = Seeing()
    asking(engine, scenes, Verdicts({}), unseen=True)
    seen, grey = engine.policies[False].judge, engine.policies[True].judge
    assert (seen.views, grey.views) == (BASELINE.judge.views, "whole")
    assert seen.second_look == BASELINE.judge.second_look
    assert grey.second_look.picture == "none"
    for judge in (seen, grey):
        assert not judge.contrast.looks
        assert judge.calibration is None


def test_what_is_kept_is_never_contrasted_and_contrast_is_no_other_run(scenes: Dataset) -> None:
    contrast = {"counterfactual": "grey", "alpha": 4.0}
    judge = BASELINE.judge.model_copy(update={"contrast": contrast})
    contrasting = BASELINE.model_copy(update={"judge": judge})
    engine = Seeing()
    ask(engine, scenes, contrasting, Verdicts({}), unseen=True)  # type: ignore[arg-type]
    assert not any(each.judge.contrast.looks for each in engine.policies.values())
    assert asked_digest(contrasting) == asked_digest(BASELINE)


def test_a_request_in_words_alone_has_no_grey_picture() -> None:
    words = Sample("1", "safe", "1", "How?", None)
    dataset = Dataset("made", (words,))
    engine, verdicts = Seeing(), Verdicts({})
    asking(engine, dataset, verdicts, unseen=True)
    assert engine.count(grey=True) == 0
    assert asked_of(dataset, unseen=True) == []
    [row] = evidence_of(dataset, verdicts, unseen=True)
    assert row.unseen is None


def test_kept_looks_come_back_and_lines_of_the_first_are_as_before(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    seen, grey = Spoken("a", {"harm": 0.5}), Spoken("a", {"harm": 0.25}, unseen=True)
    failed = Spoken("b", {}, "late", unseen=True)
    Verdicts({}, path=path).add([seen, grey, failed])
    again = Verdicts({}, path=path)
    assert [again.get("a"), again.get("a", unseen=True)] == [seen, grey]
    assert [again.get("b"), again.get("b", unseen=True)] == [None, failed]
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert rows[0] == {"sample": "a", "categories": {"harm": 0.5}, "error": None}
    assert [each.get("unseen") for each in rows] == [None, True, True]


@pytest.mark.parametrize("said", ["false", '"yes"', "1", "null"])
def test_a_line_that_garbles_which_look_it_was_is_judged_again(said: str, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    Verdicts({}, path=path)
    with path.open("a") as file:
        file.write('{"sample": "a", "categories": {"harm": 0.5}, "error": null, "unseen": ')
        file.write(said + "}\n")
    assert len(Verdicts({}, path=path)) == 0


def test_a_grey_look_that_is_missing_or_failed_is_not_taken_for_none(scenes: Dataset) -> None:
    verdicts = Verdicts({})
    asking(Seeing(), scenes, verdicts)
    assert all(each.unseen is None for each in evidence_of(scenes, verdicts))
    with pytest.raises(DatasetError, match="was not judged with grey pictures"):
        evidence_of(scenes, verdicts, unseen=True)
    asking(Seeing(error="late"), scenes, verdicts, unseen=True)
    assert all(each.unseen == {} for each in evidence_of(scenes, verdicts, unseen=True))


def test_what_is_said_again_is_contrasted_once_and_not_calibrated(
    scenes: Dataset, tmp_path: Path
) -> None:
    asked = Dataset("made", scenes.samples[:1])
    verdicts = Verdicts({})
    verdicts.add([Spoken(asked.samples[0].id, {"harm": p}, unseen=grey)
                  for p, grey in ((0.8, False), (0.5, True))])  # fmt: skip
    found = evidence_of(asked, verdicts, unseen=True)
    request = JudgeRequest(conversation_of(asked.samples[0]), {"harm": "?"})
    contrast = {"counterfactual": "grey", "alpha": 1.0}
    contrasting = policy(
        judge={"kind": "callable", "contrast": contrast, "calibration": {"scale": 9.0}}
    )
    assert kept_judge(found, policy())(request) == {"harm": 0.8}
    assert kept_judge(found, contrasting)(request)["harm"] == pytest.approx(16 / 17)
