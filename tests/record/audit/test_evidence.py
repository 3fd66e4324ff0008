"""What a safe verdict rests on, in the log: kept, shown, replayed; and logs from before it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.cli import audit_text, main
from guardrail.policy.evaluation import UNEARNED
from guardrail.policy.verdict import NO_EVIDENCE
from guardrail.record.audit import AuditLog
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.page.report import write_report
from guardrail.record.audit.page.views import decision_page
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord, canonical, parse_body
from guardrail.record.audit.redaction import Redaction
from guardrail.record.audit.replay import replay
from guardrail.record.decision import Decision
from guardrail.request.conversation import question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from tests.record.audit.making import KEY, decision, held

BASELINE = load_policy("baseline")
SAFE = {each.id: 0.1 for each in BASELINE.categories}
PICTURES = Path(__file__).parents[3] / "examples" / "pictures"


def earned_by(**competence: Any) -> Policy:
    judge = BASELINE.judge.model_copy(update={"competence": competence})
    found: Policy = BASELINE.model_copy(update={"judge": judge})
    return found


BY_PICTURE = earned_by(evidence="picture", above=-1.5)


def safe(action: str, competence: float | None, evidence: Mapping[str, float]) -> Decision:
    verdict = decision().verdict.model_copy(
        update={
            "label": "safe",
            "categories": SAFE,
            "competence": competence,
            "evidence": dict(evidence),
            "error": None,
        }
    )
    return decision(verdict=verdict, action=action, category=None, review=None, session=None)


def recorded(path: Path, *decisions: Decision) -> list[AuditRecord]:
    with AuditLog(path, key=KEY) as log:
        for each in decisions:
            log.append(each)
    return kept(path)


def kept(path: Path) -> list[AuditRecord]:
    with LogReader(path) as reader:
        return list(reader.records(Filter()))


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log as it was written before evidence was: its competence is nats, against grey pictures.

    All four were decided by `BY_PICTURE`; the last was so sure that it was not asked again.
    """
    body = AuditRecord.body

    def without_evidence(record: AuditRecord) -> str:
        dumped = json.loads(body(record))
        if "decision" in dumped:
            del dumped["decision"]["verdict"]["evidence"]
        return canonical(dumped)

    with monkeypatch.context() as patch:
        patch.setattr(AuditRecord, "body", without_evidence)
        recorded(
            tmp_path / "older.db",
            safe("comply", 0.4, {}),
            safe("plain", -1.6, {}),
            safe("plain", NO_EVIDENCE, {}),
            safe("comply", None, {}),
        )
    return tmp_path / "older.db"


def test_a_log_from_before_evidence_loads_and_verifies(older: Path) -> None:
    assert all(b'"evidence"' not in row.body for row in held(older).rows_)
    assert all(b'"competence"' in row.body for row in held(older).rows_[1:])
    verdicts = [each.decision.verdict for each in kept(older) if each.decision is not None]
    assert [each.competence for each in verdicts] == [0.4, -1.6, NO_EVIDENCE, None]
    assert [each.evidence for each in verdicts] == [{}] * 4
    assert verify_path(older, KEY).problem is None


def test_a_log_from_before_evidence_goes_on(older: Path) -> None:
    recorded(older, safe("comply", 0.4, {"request": 0.4}))
    assert verify_path(older, KEY).problem is None
    assert [b'"evidence"' in row.body for row in held(older).rows_] == [False] * 5 + [True]


def test_a_log_from_before_evidence_replays_as_it_was_decided(older: Path) -> None:
    found = replay(kept(older), BY_PICTURE)
    assert found.changes == []
    assert found.decided == 4


def test_what_was_never_measured_is_taken_at_its_word_counted_and_said(tmp_path: Path) -> None:
    unsafe = dict.fromkeys(SAFE, 0.9)
    never = safe("comply", None, {})
    own = never.model_copy(
        update={"policy": never.policy.model_copy(update={"digest": BASELINE.digest})}
    )
    judged, chat = (
        never.model_copy(update=each)
        for each in (
            {"outcome": never.outcome.model_copy(update={"finish_reason": "judged"})},
            {"verdict": never.verdict.model_copy(update={"source": "chat"})},
        )
    )
    refused = never.model_copy(
        update={"verdict": never.verdict.model_copy(update={"categories": unsafe})}
    )
    records = recorded(tmp_path / "log.db", never, own, judged, chat, refused)
    found = replay(records, BASELINE)
    assert found.unmeasured == found.plain()["unmeasured"] == 1
    assert found.actions["comply", "comply"] == 4
    assert any("1 comply only if" in line for line in audit_text.replay(found, 5))
    trusting = replay(records, earned_by(evidence="none"))
    assert trusting.unmeasured == 0
    assert not any("comply only if" in line for line in audit_text.replay(trusting, 5))


def test_nats_of_old_are_no_p_values(older: Path) -> None:
    """0.4 nats would pass for a p-value of 0.4."""
    found = replay(kept(older), BASELINE)
    assert [(each.action, each.new_action, each.new_rule) for each in found.changes] == [
        ("comply", "plain", UNEARNED)
    ]
    assert "not of the kind 'familiar'" in found.changes[0].reason


def test_a_log_from_before_evidence_is_shown(
    older: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(older, tmp_path / "r.html", Filter(), key=KEY, limit=10)
    for command in (["show", str(older), "1"], ["tail", str(older)], ["verify", str(older)]):
        assert main(["audit", *command]) == 0
    assert main(["audit", "replay", str(older), "--policy", "baseline"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("evidence", "policy", "action"),
    [
        ({"request": 0.4, "description": 0.01}, BASELINE, "comply"),
        ({"request": 0.001}, BASELINE, "plain"),
        ({"pictures": 0.4}, BASELINE, "plain"),
        ({"pictures": 0.4}, BY_PICTURE, "comply"),
        ({"request": 0.4}, BY_PICTURE, "plain"),
    ],
)
def test_a_record_is_decided_again_by_the_evidence_it_has(
    tmp_path: Path, evidence: dict[str, float], policy: Policy, action: str
) -> None:
    [record] = recorded(tmp_path / "log.db", safe(action, min(evidence.values()), evidence))
    assert record.decision is not None
    assert record.decision.verdict.evidence == evidence
    assert replay([record], policy).changes == []


def test_an_answer_on_record_replays_as_it_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    policy = BASELINE.model_copy(
        update={
            "audit": BASELINE.audit.model_copy(update={"path": str(path)}),
            "judge": BASELINE.judge.model_copy(update={"timeout_s": 300.0}),
        }
    )
    engine = SafeCoDe.embedded(policy=policy)
    for words in ("How do I cut this?", "Wie schneide ich das?"):
        asked = question(words, [load_picture(PICTURES / "kitchen-knife-bread.png")])
        engine.answer(asked, GenerationSettings(max_new_tokens=2, temperature=0))
    decisions = [each.decision for each in kept(path) if each.decision is not None]
    assert [each.action for each in decisions] == ["comply", "plain"]
    assert [sorted(each.verdict.evidence) for each in decisions] == [
        ["description", "request"],
        ["request"],
    ]
    assert replay(kept(path), policy).changes == []


def test_evidence_is_shown_in_words(tmp_path: Path) -> None:
    evidence = {"request": 0.4, "description": 0.013, "pictures": -1.25}
    [record] = recorded(tmp_path / "log.db", safe("comply", -1.25, evidence))
    sentences = [
        "as sure of what it sees: p 0.013",
        "pictures lower the log-odds of harm, against grey ones, by -1.25 nats",
        "requests like this one: p 0.4",
    ]
    shown = list(audit_text.record(record))
    assert [f"  evidence  {each}" for each in sentences] == [
        each for each in shown if "evid" in each
    ]
    with LogReader(tmp_path / "log.db") as reader:
        html = decision_page(reader, record)
    assert f"What it rests on: {'; '.join(sentences)}." in html


def test_what_a_screen_spared_is_shown_in_words_and_said_in_the_policys_own(
    tmp_path: Path,
) -> None:
    made = safe("plain", None, {})
    screened = made.verdict.model_copy(update={"screen": 0.004, "screened": [*SAFE, "my words"]})
    told = Redaction(BASELINE, KEY).without_words(made.model_copy(update={"verdict": screened}))
    assert told.verdict.screened[:-1] == list(SAFE)
    assert "my words" not in str(told.verdict.screened)
    [record] = recorded(tmp_path / "log.db", made.model_copy(update={"verdict": screened}))
    sentence = "screen, harm of any kind: p 0.004, 8 categories not asked about"
    assert f"  evidence  {sentence}" in list(audit_text.record(record))
    with LogReader(tmp_path / "log.db") as reader:
        assert f"What it rests on: {sentence}." in decision_page(reader, record)


HOSTILE = "{0.__class__} <script>alert(1)</script> \x1b[2J {"


def test_evidence_that_is_not_known_is_shown_by_its_name_and_does_nothing(tmp_path: Path) -> None:
    given = safe("plain", 0.4, {HOSTILE: 0.4, "": float("nan")})
    [record] = recorded(tmp_path / "log.db", given)
    assert record.decision is not None
    assert list(record.decision.verdict.evidence) == ["", HOSTILE]
    with LogReader(tmp_path / "log.db") as reader:
        html = decision_page(reader, record)
    assert "{0.__class__} &lt;script&gt;" in html
    assert "<script>alert" not in html
    assert "\x1b" not in "".join(audit_text.record(record))
    write_report(tmp_path / "log.db", tmp_path / "r.html", Filter(), key=KEY, limit=10)


def test_names_of_evidence_that_are_somebodys_words_become_digests() -> None:
    given = safe("plain", 0.4, {"request": 0.4, "zq-canary": 0.5})
    found = Redaction(BASELINE, KEY).without_words(given)
    assert "canary" not in found.model_dump_json()
    assert found.verdict.evidence["request"] == 0.4
    assert sorted(found.verdict.evidence.values()) == [0.4, 0.5]


@pytest.mark.parametrize(
    ("message", "stays"),
    [
        ("competence was not measured: OutOfMemoryError", True),
        ("competence was not measured: the reference has 10 requests, too few for a p of 0.002",
         True),
        ("the reference has 3 descriptions, too few for a p of 1e-05", True),
        ("competence was not measured: the reference names token 9, and the model has 8 tokens",
         True),
        ("competence was not measured: zq", False),
        ("competence was not measured: '/home/zq/r' is no reference: torn", False),
        ("the reference has zq requests, too few for a p of 0.002", False),
    ],
)  # fmt: skip
def test_why_competence_was_not_measured_stays_as_far_as_it_is_ours(
    message: str, stays: bool
) -> None:
    given = safe("plain", NO_EVIDENCE, {}).model_copy(update={"errors": [message]})
    found = Redaction(BASELINE, KEY).without_words(given)
    assert (found.errors == [message]) is stays


def test_what_a_safe_verdict_lacks_stays_in_its_reasons(tmp_path: Path) -> None:
    from guardrail.policy import decide
    from guardrail.policy.verdict import Verdict

    for evidence in ({"request": 0.001}, {"request": 0.3, "description": 0.001}, {}):
        least = min(evidence.values(), default=NO_EVIDENCE)
        reasons = decide(BASELINE, Verdict(SAFE, competence=least, evidence=evidence)).reasons
        given = safe("plain", least, evidence).model_copy(update={"reasons": list(reasons)})
        assert Redaction(BASELINE, KEY).without_words(given).reasons == list(reasons)


def test_a_record_with_evidence_spells_itself_the_same_again() -> None:
    body = AuditRecord(
        seq=1, time="2026-01-01T00:00:00.000Z", kind="decision",
        decision=safe("comply", 0.25, {"request": 0.25, "description": 0.5}),
    ).body()  # fmt: skip
    assert parse_body(body).body() == body
