"""Records of a contrasted judge: what they say of it, and that replay contrasts nothing again."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guardrail.cli import audit_text
from guardrail.judging.evidence import counted
from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.calibration import calibrate
from guardrail.policy.verdict import Verdict
from guardrail.record.audit import AuditLog
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.observer import AuditObserver
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord, Calibration
from guardrail.record.audit.replay import Replay, replay
from guardrail.record.decision import VerdictRecord
from guardrail.request.conversation import Picture, question

from .making import KEY, decision

BASELINE = load_policy("baseline")
IDS = [each.id for each in BASELINE.categories]
SEEN, GREY = (Verdict(dict.fromkeys(IDS, p)) for p in (0.45, 0.25))
CONTRAST = {"counterfactual": "grey", "alpha": 2.0}


def changed(**judge: Any) -> Policy:
    looks = {"competence": {"evidence": "none"}, **judge}
    found: Policy = BASELINE.model_copy(update={"judge": BASELINE.judge.model_copy(update=looks)})
    return found


CONTRASTING = changed(contrast=CONTRAST, calibration={"scale": 0.5, "bias": 0.3})
WEAKER = changed(contrast={**CONTRAST, "alpha": 1.0})


def logged(path: Path, policy: Policy, *, pictures: bool = True, source: str = "self") -> Path:
    """A log of one request, decided by what counts under a policy."""
    verdict = counted(policy.judge, SEEN, GREY if pictures else None)
    ruling = decide(policy, verdict)
    made = decision(
        verdict=VerdictRecord(
            label=ruling.label, categories=dict(verdict.categories), source=source
        ),
        action=ruling.action,
        category=ruling.category,
        review=None,
        session=None,
    )
    picture = Picture(Image.new("RGB", (2, 2)), "d")
    with AuditLog(path, key=KEY) as log:
        asked = question("How?", [picture] if pictures else [])
        AuditObserver(log, policy).concluded(made, asked, "")
    return path


def recorded(path: Path) -> AuditRecord:
    with LogReader(path) as reader:
        [found] = [each for each in reader.records(Filter()) if each.kind == "decision"]
    return found


def replayed(path: Path, policy: Policy) -> Replay:
    with LogReader(path) as reader:
        return replay(reader.records(Filter()), policy)


def test_the_record_says_by_which_alpha_it_was_contrasted(tmp_path: Path) -> None:
    found = recorded(logged(tmp_path / "a.db", CONTRASTING))
    assert found.calibration == Calibration(scale=0.5, bias=0.3, contrast=2.0)
    alone = recorded(logged(tmp_path / "b.db", changed(contrast=CONTRAST)))
    assert alone.calibration == Calibration(scale=1.0, bias=0.0, contrast=2.0)
    assert recorded(logged(tmp_path / "c.db", BASELINE)).calibration is None


def test_under_its_own_policy_nothing_is_contrasted_again(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", CONTRASTING)
    p = counted(CONTRASTING.judge, SEEN, GREY).categories[IDS[0]]
    again = counted(CONTRASTING.judge, Verdict({IDS[0]: p}), GREY).categories[IDS[0]]
    assert again != pytest.approx(p)
    found = replayed(path, CONTRASTING)
    assert (found.changes, found.otherwise, found.decided) == ([], 0, 1)
    assert not any("otherwise" in line for line in audit_text.replay(found, 5))


def test_under_another_calibration_the_contrasted_probability_is_calibrated(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", CONTRASTING)
    raw = counted(changed(contrast=CONTRAST).judge, SEEN, GREY).categories[IDS[0]]
    assert calibrate(raw, scale=0.5, bias=0.3) >= 0.6 > calibrate(raw, scale=0.5, bias=-2.0)
    milder = changed(contrast=CONTRAST, calibration={"scale": 0.5, "bias": -2.0})
    [change] = replayed(path, milder).changes
    assert change.new_label == decide(milder, counted(milder.judge, SEEN, GREY)).label


@pytest.mark.parametrize(
    ("before", "after"),
    [(BASELINE, CONTRASTING), (CONTRASTING, BASELINE), (CONTRASTING, WEAKER)],
)
def test_what_was_contrasted_otherwise_is_counted_and_said(
    before: Policy, after: Policy, tmp_path: Path
) -> None:
    found = replayed(logged(tmp_path / "a.db", before), after)
    assert found.otherwise == found.plain()["otherwise"] == 1
    assert any("1 were contrasted otherwise" in line for line in audit_text.replay(found, 5))


def test_where_there_was_nothing_to_contrast_nothing_is_otherwise(tmp_path: Path) -> None:
    words = logged(tmp_path / "a.db", BASELINE, pictures=False)
    chat = logged(tmp_path / "b.db", BASELINE, source="chat")
    assert [replayed(each, CONTRASTING).otherwise for each in (words, chat)] == [0, 0]
