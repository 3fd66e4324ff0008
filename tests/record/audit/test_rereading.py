"""Replays of answers that were watched: what another policy would have let out, ended, replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import audit_text, main
from guardrail.policy import Policy
from guardrail.policy.calibration import calibrate
from guardrail.policy.review import Review
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.interchange import (
    DatabaseSource,
    ExportSource,
    export_jsonl,
    import_log,
)
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord, Watching, parse_body
from guardrail.record.audit.replay import Replay, replay
from guardrail.record.decision import Decision

from .making import KEY
from .watched import BASELINE, answered, logged, watching

REPLACE, END, RECORD = (watching(on_unsafe=each) for each in ("replace", "end", "record"))
TURNS = (0.1, 0.5, 0.2, 0.9, 0.95)
SECRET = "the girl in the red coat"


def records(path: Path) -> list[AuditRecord]:
    with LogReader(path) as reader:
        return [each for each in reader.records(Filter()) if each.decision is not None]


def replayed(path: Path, policy: Policy) -> Replay:
    return replay(records(path), policy)


def said(found: Replay) -> str:
    return "\n".join(audit_text.replay(found, 5))


@pytest.mark.parametrize("ps", [TURNS, (0.1, 0.2), (0.5,), ("the judge took longer than 10 s",)])
@pytest.mark.parametrize("action", ["replace", "end", "steer", "escalate", "record"])
def test_under_its_own_policy_nothing_is_otherwise(
    ps: tuple[float | str, ...], action: str, tmp_path: Path
) -> None:
    policy = watching(on_unsafe=action)
    made = answered(policy, ps)
    found = replayed(logged(tmp_path / "a.db", policy, made), policy).watched
    [(was, now)] = found.fates
    assert was == now
    assert (found.changes, found.moot, found.elsewhere, found.unknown) == ([], 0, 0, 0)
    assert found.readings == len(made.watch)


def test_the_last_reading_of_a_whole_answer_leans_again(tmp_path: Path) -> None:
    made = [answered(END, (0.1, 0.55), whole=whole) for whole in (True, False)]
    assert [each.watch[-1].act for each in made] == ["end", "hold"]
    found = replayed(logged(tmp_path / "a.db", END, *made), END).watched
    assert (found.changes, found.fates) == ([], {("ended", "ended"): 1, ("held", "held"): 1})
    assert found.unknown == 1  # it was given up before it was whole


def test_another_policy_stops_an_answer_where_it_would_have(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", RECORD, answered(RECORD, TURNS))
    found = replayed(path, REPLACE)
    watched = found.watched
    assert watched.fates == {("let out", "replaced"): 1}
    assert [(each.tokens, each.act, each.new_act) for each in watched.changes] == [
        (16, "release", "hold"),
        (32, "record", "replace"),
    ]
    assert (watched.readings, watched.moot, watched.unknown) == (4, 1, 0)
    assert "let out   -> replaced" in said(found)
    assert "at 32 tokens  record -> replace" in said(found)


@pytest.mark.parametrize("other", [RECORD, watching(unsafe_at=0.97, safe_below=0.96)])
def test_what_was_never_generated_is_not_known_and_said_so(other: Policy, tmp_path: Path) -> None:
    found = replayed(logged(tmp_path / "a.db", END, answered(END, TURNS)), other)
    assert found.watched.fates == {("ended", "let out"): 1}
    assert found.watched.unknown == found.watched.plain()["unknown"] == 1
    assert "was not generated, and is not known" in said(found)


def test_in_shadow_it_was_generated_and_is_known(tmp_path: Path) -> None:
    made = answered(END, TURNS, goes_on=True)
    found = replayed(logged(tmp_path / "a.db", END, made), RECORD).watched
    assert (found.fates, found.unknown) == ({("ended", "let out"): 1}, 0)


def test_a_policy_that_does_not_watch_reads_nothing(tmp_path: Path) -> None:
    found = replayed(logged(tmp_path / "a.db", END, answered(END, TURNS)), BASELINE)
    assert found.watched.fates == {("ended", "not read"): 1}
    assert (found.watched.readings, found.watched.changes, found.watched.unknown) == (0, [], 1)
    assert "this policy does not watch" in said(found)


def test_answers_that_nobody_read_are_counted(tmp_path: Path) -> None:
    unread = answered(BASELINE, ())
    path = logged(tmp_path / "a.db", BASELINE, unread)
    assert replayed(path, END).watched.unread == 1
    assert "what it would have read is not known" in said(replayed(path, END))
    assert replayed(path, BASELINE).watched.unread == 0


def test_readings_of_requests_that_are_decided_otherwise_are_left_out(tmp_path: Path) -> None:
    strict = BASELINE.verdict.model_copy(update={"safe_below": 0.001, "unsafe_at": 0.002})
    base = BASELINE.model_copy(update={"verdict": strict})
    found = replayed(logged(tmp_path / "a.db", END, answered(END, TURNS)), watching(base))
    assert found.changes
    assert (found.watched.otherwise, found.watched.answers) == (1, 0)
    assert "its answer be another" in said(found)


def test_other_places_are_said(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", END, answered(END, TURNS))
    found = replayed(path, watching(every=16, on_unsafe="end"))
    assert (found.watched.elsewhere, found.watched.changes) == (1, [])
    assert "would be read at other places" in said(found)


def test_readings_are_calibrated_by_the_policy_that_decides(tmp_path: Path) -> None:
    judge = BASELINE.judge.model_copy(update={"calibration": {"scale": 1.0, "bias": -3.0}})
    doubting = watching(BASELINE.model_copy(update={"judge": judge}), on_unsafe="end")
    calibrated = calibrate(0.9, scale=1.0, bias=-3.0)
    assert calibrated < 0.4
    found = replayed(logged(tmp_path / "a.db", END, answered(END, (0.9,))), doubting).watched
    [change] = found.changes
    assert (change.act, change.new_act) == ("end", "release")
    assert f"p {calibrated:.6g} < safe_below 0.4" in change.reason
    back = replayed(logged(tmp_path / "b.db", doubting, answered(doubting, (calibrated,))), END)
    assert [each.new_act for each in back.watched.changes] == ["end"]


def test_who_approved_the_request_approved_its_answer(tmp_path: Path) -> None:
    policy = watching(on_unsafe="escalate")
    review = Review(request_id="a" * 32, approved=True)
    made = answered(policy, TURNS, review=review)
    assert {each.act for each in made.watch} == {"release", "hold"}
    path = logged(tmp_path / "a.db", policy, made)
    assert replayed(path, policy).watched.fates == {("let out", "let out"): 1}
    assert replayed(path, END).watched.fates == {("let out", "ended"): 1}


# What is kept ------------------------------------------------------------------------------------


def test_the_record_says_how_the_answer_was_to_be_read(tmp_path: Path) -> None:
    [watched] = records(logged(tmp_path / "a.db", END, answered(END, TURNS)))
    assert watched.watching == Watching(
        every=8, unsafe_at=0.6, safe_below=0.4, on_unsafe="end", release="judged"
    )
    [unwatched] = records(logged(tmp_path / "b.db", BASELINE, answered(BASELINE, ())))
    assert unwatched.watching is None
    shown = "\n".join(audit_text.record(watched))
    assert "watched   every 8 tokens, safe below 0.4, unsafe at 0.6: end; release judged" in shown
    assert "outcome   blocked" in shown
    assert "by the reading at 32 tokens" in shown
    assert "at 32    0.900  ######################..  unsafe: end" in shown
    assert "watched" not in "\n".join(audit_text.record(unwatched))


def test_a_log_from_before_answers_were_watched_is_read(tmp_path: Path) -> None:
    [record] = records(logged(tmp_path / "a.db", BASELINE, answered(BASELINE, ())))
    body = json.loads(record.body())
    assert body["decision"].pop("watch") == []
    old = parse_body(json.dumps(body))
    assert old.decision is not None
    assert (old.decision.watch, old.watching) == ([], None)
    assert replay([old], BASELINE).watched.answers == 0
    opened = record.model_copy(update={"kind": "opened"})
    assert "watch" not in json.loads(opened.body())["decision"]


def test_readings_go_out_and_in_again(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", END, answered(END, TURNS))
    with LogReader(path) as reader, reader.unchanging() as connection:
        export_jsonl(DatabaseSource(connection), tmp_path / "a.jsonl")
    import_log(ExportSource(tmp_path / "a.jsonl"), tmp_path / "b.db")
    assert verify_path(tmp_path / "b.db", KEY).ok
    assert records(tmp_path / "b.db") == records(path)
    assert [each.tokens for each in made_of(records(path)).watch] == [8, 16, 24, 32]


def made_of(found: list[AuditRecord]) -> Decision:
    [made] = [each.decision for each in found]
    assert made is not None
    return made


def test_words_are_in_no_reading_where_they_are_not_captured(tmp_path: Path) -> None:
    error = f"the judge failed: {SECRET!r}"
    made = answered(END, (0.1, error))
    assert SECRET in str(made.watch)
    odd = made.watch[0].model_copy(
        update={"categories": {SECRET: 0.1}, "reasons": [*made.watch[0].reasons, SECRET]}
    )
    made = made.model_copy(update={"watch": [odd, *made.watch[1:]]})
    path = logged(tmp_path / "a.db", END, made)
    assert SECRET.encode() not in path.read_bytes()
    kept = made_of(records(path)).watch
    assert str(kept[1].error).startswith("not recorded (#")
    plain = made_of(records(logged(tmp_path / "b.db", END, answered(END, TURNS)))).watch
    assert plain == answered(END, TURNS).watch  # what the policy itself says stays readable


def test_the_list_of_decisions_says_whose_answer_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = logged(tmp_path / "a.db", REPLACE, answered(REPLACE, TURNS), answered(REPLACE, [0.1]))
    assert main(["audit", "tail", str(path)]) == 0
    stopped, let_out = capsys.readouterr().out.splitlines()[1:]
    assert stopped.endswith(" (answer blocked)")
    assert "blocked" not in let_out


def test_json_tells_all_of_it(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.db", RECORD, answered(RECORD, TURNS))
    told: dict[str, Any] = json.loads(json.dumps(replayed(path, REPLACE).plain()))["watch"]
    assert told["fates"] == [{"from": "let out", "to": "replaced", "count": 1}]
    assert told["changed"] == len(told["changes"]) == 2
    assert told["changes"][1]["tokens"] == 32
