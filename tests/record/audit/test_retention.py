"""What is removed is stood for, what is exported can be proved elsewhere, what was decided can be
decided again.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from guardrail import load_policy
from guardrail.errors import AuditError
from guardrail.policy import Policy
from guardrail.policy.calibration import calibrate
from guardrail.record.audit import AuditLog, store
from guardrail.record.audit.bench import CATEGORIES
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.interchange import (
    DatabaseSource,
    ExportSource,
    export_jsonl,
    export_parquet,
    import_log,
)
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import Calibration
from guardrail.record.audit.replay import recorded_verdict, replay
from guardrail.record.audit.retention import prune
from tests.record.audit.making import KEY, decision, written


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with AuditLog(written(tmp_path / "audit.db", 20), key=KEY) as opened:
        yield opened


def test_pruning_by_count_keeps_the_rest_provable(log: AuditLog) -> None:
    assert prune(log, keep=5).removed == 16
    found = verify_path(log.path, KEY)
    assert (found.ok, found.first, found.last, found.pruned) == (True, 16, 21, 16)
    assert prune(log, keep=5).removed == 0
    log.append(decision(50))
    assert prune(log, keep=5).removed == 1
    found = verify_path(log.path, KEY)
    assert (found.ok, found.pruned) == (True, 17)
    with LogReader(log.path) as reader:
        checkpoint = reader.record(found.last or 0)
    assert checkpoint is not None
    assert checkpoint.checkpoint is not None
    assert sum(checkpoint.checkpoint.decisions.values()) == 16


def test_pruning_everything_leaves_a_log_that_goes_on(log: AuditLog) -> None:
    assert prune(log, keep=0).removed == 21
    assert prune(log, older_than=timedelta(days=1)).removed == 0
    log.append(decision(1))
    found = verify_path(log.path, KEY)
    assert (found.ok, found.records, found.pruned) == (True, 2, 21)


def test_pruning_by_age_removes_what_is_older(log: AuditLog) -> None:
    assert prune(log, older_than=timedelta(days=1)).removed == 0
    assert prune(log, older_than=timedelta(0)).removed == 21


def test_pruned_records_are_gone_from_the_file(log: AuditLog) -> None:
    request = decision(3).request_id.encode()
    assert _holds(log.path, request)
    prune(log, keep=2)
    log.close()
    assert not _holds(log.path, request)


def _holds(path: Path, text: bytes) -> bool:
    return any(text in each.read_bytes() for each in path.parent.glob(path.name + "*"))


def test_more_than_was_pruned_cannot_be_removed(log: AuditLog) -> None:
    prune(log, keep=10)
    log.close()
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("DROP TRIGGER records_are_not_deleted")
        connection.execute("DELETE FROM records WHERE seq < 13")
        connection.execute(store.NO_DELETE)
        connection.commit()
    found = verify_path(log.path, KEY)
    assert found.problem is not None
    assert found.problem.kind == "removed"


def test_pruning_never_removes_the_traces_of_tampering(log: AuditLog) -> None:
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("DROP TRIGGER records_are_not_altered")
        connection.execute("UPDATE records SET body = replace(body, '0', '1') WHERE seq = 4")
        connection.execute(store.SCHEMA["records_are_not_altered"])
        connection.commit()
    with pytest.raises(AuditError, match="record 4"):
        prune(log, keep=2)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("pruned", [False, True])
def test_an_export_is_provable_elsewhere(
    log: AuditLog, tmp_path: Path, form: str, pruned: bool
) -> None:
    if pruned:
        prune(log, keep=5)
    file, again = tmp_path / f"log.{form}", tmp_path / "again.db"
    with LogReader(log.path) as reader, reader.unchanging() as connection:
        write = export_jsonl if form == "jsonl" else export_parquet
        write(DatabaseSource(connection), file)
    there = verify_path(file, KEY)
    assert there.ok
    import_log(ExportSource(file), again)
    here = verify_path(again, KEY)
    assert here == verify_path(log.path, KEY) == there
    with AuditLog(again, key=KEY) as continued:
        continued.append(decision(7))
    assert verify_path(again, KEY).ok
    with pytest.raises(AuditError, match="exists"):
        import_log(ExportSource(file), again)


@pytest.mark.parametrize("write", [export_jsonl, export_parquet])
def test_a_damaged_log_leaves_no_half_export(
    thousand_path: Path, tmp_path: Path, write: Callable[[DatabaseSource, Path], int]
) -> None:
    path, file = tmp_path / "a.db", tmp_path / "log"
    whole = thousand_path.read_bytes()
    middle = len(whole) // 8192 * 4096
    path.write_bytes(whole[:middle] + b"\xff" * 40_960 + whole[middle + 40_960 :])
    with (
        LogReader(path) as reader,
        reader.unchanging() as connection,
        pytest.raises(AuditError, match="verify it"),
    ):
        write(DatabaseSource(connection), file)
    assert not file.exists()


def test_an_altered_export_is_found(log: AuditLog, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with LogReader(log.path) as reader, reader.unchanging() as connection:
        export_jsonl(DatabaseSource(connection), file)
    lines = file.read_text().splitlines(keepends=True)
    for changed, seq in (
        ([*lines[:6], lines[6].replace('"mode":', '"MODE":'), *lines[7:]], 5),
        ([*lines[:6], *lines[7:]], 5),
        (lines[:-3], 18),
        ([*lines[:6], lines[7], lines[6], *lines[8:]], 5),
    ):
        file.write_text("".join(changed))
        found = verify_path(file, KEY)
        assert found.problem is not None
        assert found.problem.seq == seq
    file.write_text(lines[0] + "{}\n")
    with pytest.raises(AuditError, match=r"log\.jsonl:2"):
        verify_path(file, KEY)


def _twice(line: str) -> str:
    """A line that says first what some parsers read, and then what was signed."""
    return line.replace('"action":', '"action":"comply","action":', 1)


def _second_body(line: str) -> str:
    return line.replace('"body":', '"body":{"decision":{"action":"comply"}},"body":', 1)


def _with_a_note(line: str) -> str:
    return line.replace('"hash":', '"note":"seen by an auditor","hash":', 1)


def _spaced(line: str) -> str:
    return line.replace('"mode":', '"mode": ', 1)


def _of_text(line: str) -> str:
    return re.sub(r'"seq":(\d+)', r'"seq":"\1"', line, count=1)


@pytest.mark.parametrize("spell", [_twice, _second_body, _with_a_note, _spaced, _of_text])
def test_an_exported_record_that_is_spelled_otherwise_is_not_as_it_was_written(
    log: AuditLog, tmp_path: Path, spell: Callable[[str], str]
) -> None:
    file, again = tmp_path / "log.jsonl", tmp_path / "again.db"
    with LogReader(log.path) as reader, reader.unchanging() as connection:
        export_jsonl(DatabaseSource(connection), file)
    lines = file.read_text().splitlines(keepends=True)
    assert spell(lines[6]) != lines[6]
    file.write_text("".join([*lines[:6], spell(lines[6]), *lines[7:]]))
    found = verify_path(file, KEY)
    assert found.problem is not None
    assert (found.problem.kind, found.problem.seq) == ("altered", 5)
    file.write_bytes("".join(lines).replace("\n", "\r\n").encode())  # as some transfers do
    assert verify_path(file, KEY).ok
    import_log(ExportSource(file), again)
    assert verify_path(again, KEY).ok


def test_what_is_altered_in_a_database_is_not_made_good_by_exporting_it(
    log: AuditLog, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("DROP TRIGGER records_are_not_altered")
        [[body]] = connection.execute("SELECT body FROM records WHERE seq = 5")
        connection.execute("UPDATE records SET body = ? WHERE seq = 5", [_twice(body)])
        connection.commit()
    with LogReader(log.path) as reader, reader.unchanging() as connection:
        export_jsonl(DatabaseSource(connection), file)
    found = verify_path(file, KEY)
    assert found.problem is not None
    assert found.problem.seq == 5


@pytest.mark.parametrize(("name", "value"), [("action", "plain"), ("p_unsafe", 0.123)])
def test_a_column_of_parquet_that_says_something_else_than_its_record_is_found(
    log: AuditLog, tmp_path: Path, name: str, value: Any
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "log.parquet"
    with LogReader(log.path) as reader, reader.unchanging() as connection:
        export_parquet(DatabaseSource(connection), file)
    table = parquet.read_table(file)
    rows = table.to_pylist()
    assert rows[5][name] != value
    rows[5][name] = value
    parquet.write_table(table.from_pylist(rows, schema=table.schema), file)
    found = verify_path(file, KEY)
    assert found.problem is not None
    assert (found.problem.kind, found.problem.seq) == ("altered", 5)


def test_an_anchor_of_what_was_pruned_is_not_passed_over(log: AuditLog) -> None:
    """Whoever holds the key could else put a log back, go on otherwise, and prune the place."""
    with LogReader(log.path) as reader:
        hashes = {seq: found[1] for seq in range(20) if (found := reader.raw(seq))}
    prune(log, keep=5)
    first = verify_path(log.path, KEY).first
    assert first is not None
    last = first - 1
    assert verify_path(log.path, KEY, anchor=(first, hashes[first])).ok
    assert verify_path(log.path, KEY, anchor=(last, hashes[last])).ok  # the checkpoint knows it
    for anchor, kind in (((last, "0" * 64), "rollback"), ((last - 1, hashes[last - 1]), "anchor")):
        found = verify_path(log.path, KEY, anchor=anchor)
        assert found.problem is not None
        assert (found.problem.kind, found.problem.seq) == (kind, anchor[0])
        assert not found.as_written


def other_policy(unsafe_at: float) -> Policy:
    categories = [{"id": name, "question": f"Is it {name}?"} for name in CATEGORIES]
    return Policy.model_validate(
        {
            "version": 1,
            "name": "other",
            "categories": categories,
            "verdict": {"unsafe_at": unsafe_at, "safe_below": 0.1, "on_unsafe": "block"},
        }
    )


def test_replay_shows_what_another_policy_would_change(thousand_path: Path) -> None:
    with LogReader(thousand_path) as reader:
        found = replay(reader.records(Filter()), other_policy(0.3))
    assert found.decided == 999
    for change in found.changes:
        assert (change.action, change.label, change.category) != (
            change.new_action,
            change.new_label,
            change.new_category,
        )
    blocked = sum(count for (_, new), count in found.actions.items() if new == "block")
    with LogReader(thousand_path) as reader:
        high = [
            each for each in reader.decisions(Filter(), limit=2000) if (each.p_unsafe or 0) >= 0.3
        ]
    assert blocked == len(high)
    assert json.dumps(found.plain())


def test_replay_names_categories_that_were_not_asked_about(thousand_path: Path) -> None:
    with LogReader(thousand_path) as reader:
        found = replay(reader.records(Filter(action="block")), load_policy("baseline"))
    assert set(found.unasked.values()) == {found.decided}


def test_replay_takes_a_records_own_calibration_off_first(thousand_path: Path) -> None:
    """Under the policy that decided nothing changes; under another only its own counts."""
    plain = other_policy(0.3)
    judge = plain.judge.model_copy(update={"calibration": {"scale": 2.0, "bias": 0.7}})
    policy = plain.model_copy(update={"judge": judge})
    with LogReader(thousand_path) as reader:
        records = [each for each in reader.records(Filter()) if each.decision is not None]
    own = Calibration(scale=2.0, bias=0.7)
    written = [each.model_copy(update={"calibration": own}) for each in records]
    same = [recorded_verdict(each, each.decision, policy).categories for each in written]
    assert same == [dict(each.decision.verdict.categories) for each in written]
    for each, raw in zip(written, records, strict=True):
        undone = recorded_verdict(each, each.decision, plain).categories
        done = recorded_verdict(raw, raw.decision, policy).categories
        for name, p in each.decision.verdict.categories.items():
            assert calibrate(undone[name], scale=2.0, bias=0.7) == pytest.approx(p, abs=1e-5)
            assert done[name] == pytest.approx(calibrate(p, scale=2.0, bias=0.7))
