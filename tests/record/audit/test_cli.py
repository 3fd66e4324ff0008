"""`guardrail audit`, as a program."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from guardrail.cli import main
from tests.record.audit.making import KEY, written


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "audit.db", 12)


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    status = main(["audit", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def altered(log: Path, seq: int) -> None:
    with closing(sqlite3.connect(log)) as connection:
        [trigger] = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'records_are_not_altered'"
        ).fetchone()
        connection.execute("DROP TRIGGER records_are_not_altered")
        connection.execute(
            "UPDATE records SET body = replace(body, '0.', '1.') WHERE seq = ?", [seq]
        )
        connection.execute(trigger)
        connection.commit()


@pytest.mark.parametrize(
    "arguments",
    [
        ["tail"],
        ["tail", "--action", "comply", "--since", "1d", "-n", "3"],
        ["show", "3"],
        ["stats"],
        ["verify"],
        ["export", "{}.jsonl"],
        ["prune", "--keep", "3"],
        ["replay", "--policy", "baseline"],
        ["report", "--out", "{}.html"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_command_prints_text_or_json(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], as_json: bool
) -> None:
    name, *rest = [argument.format(log) for argument in arguments]
    status, out, err = run(capsys, name, log, *rest, *(["--json"] if as_json else []))
    assert (status, err) == (0, "")
    assert out
    if as_json:
        for text in out.splitlines() if name == "tail" else [out]:
            json.loads(text)


def test_verify_names_the_first_altered_record_and_exits_with_1(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    altered(log, 7)
    status, out, _ = run(capsys, "verify", log)
    assert status == 1
    assert "record 7" in out
    status, out, _ = run(capsys, "verify", log, "--json")
    assert status == 1
    assert json.loads(out)["problem"]["seq"] == 7


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "/nowhere.db"], "no audit log"),
        (["tail", __file__], "audit log"),
        (["show", "{}", "99999"], "99999"),
        (["export", "{}", "x.csv"], "'csv'"),
        (["prune", "{}"], "what to remove"),
        (["prune", "{}", "--older-than", "soon"], "'soon'"),
        (["stats", "{}", "--since", "yesterday"], "'yesterday'"),
        (["replay", "{}", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["verify", "{}", "--anchor", "x"], "anchor"),
        (["verify", "{}", "--key", "/nowhere.key"], "/nowhere.key"),
    ],
)
def test_bad_use_is_one_line_and_exits_with_2(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    status, out, err = run(capsys, *[argument.format(log) for argument in arguments])
    assert (status, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_verify_without_any_key_says_so(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARDRAIL_AUDIT_KEY")
    assert run(capsys, "verify", log)[0] == 2
    status, out, _ = run(capsys, "verify", log, "--without-key")
    assert status == 0
    assert "only hashes" in out


def test_verify_names_the_key_that_it_checked_with(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "verify", log)
    [signed] = [each for each in out.splitlines() if each.startswith("signatures checked with")]
    assert (status, signed) == (0, f"signatures checked with key {KEY.id}")
    assert json.loads(run(capsys, "verify", log, "--json")[1])["key"] == KEY.id
    assert json.loads(run(capsys, "verify", log, "--json", "--without-key")[1])["key"] is None


def test_a_public_key_checks_and_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    assert run(capsys, "keygen", key, "--ed25519")[0] == 0
    monkeypatch.delenv("GUARDRAIL_AUDIT_KEY")
    monkeypatch.setenv("GUARDRAIL_AUDIT_KEY_FILE", str(key))
    from guardrail.record.audit import read_key

    log = written(tmp_path / "audit.db", 4, read_key(key))
    assert run(capsys, "verify", log, "--key", f"{key}.pub")[0] == 0
    status, _, err = run(capsys, "prune", log, "--keep", "1", "--key", f"{key}.pub")
    assert status == 2
    assert "public key" in err
    altered(log, 2)
    assert "record 2" in run(capsys, "verify", log, "--key", f"{key}.pub")[1]


def test_records_conform_to_the_schema(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "schema")
    assert status == 0
    schema = json.loads(out)
    for seq in range(13):
        shown = json.loads(run(capsys, "show", log, seq, "--json")[1])
        jsonschema.validate(shown["record"], schema)


def test_an_export_is_imported_and_verified(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "export", log, tmp_path / "log.jsonl")
    assert run(capsys, "verify", tmp_path / "log.jsonl")[0] == 0
    assert run(capsys, "import", tmp_path / "log.jsonl", tmp_path / "b.db")[0] == 0
    anchor = json.loads(run(capsys, "verify", log, "--json")[1])["anchor"]
    assert run(capsys, "verify", tmp_path / "b.db", "--anchor", anchor)[0] == 0


def test_no_command_loads_a_model_library(log: Path) -> None:
    code = """
import sys
from guardrail.cli import main
log = sys.argv[1]
for arguments in (
    ["tail"], ["show", "--json"], ["stats"], ["verify"], ["replay", "--policy", "baseline"],
    ["report", "--out", log + ".html"], ["export", log + ".jsonl"],
):
    name, *rest = arguments
    more = ["3"] if name == "show" else []
    assert main(["audit", name, log, *more, *rest]) == 0, name
import guardrail.record.audit.page.server
loaded = {"torch", "transformers", "langchain", "langchain_core"} & set(sys.modules)
assert not loaded, loaded
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(log)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_words_in_a_log_cannot_move_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from guardrail.record.audit import AuditLog
    from tests.record.audit.making import decision

    with AuditLog(tmp_path / "a.db", key=KEY) as log:
        log.append(decision(0, reasons=["\x1b[2J\x07 \u202e"], errors=["\x1b]0;x\x07"]))
    out = run(capsys, "show", tmp_path / "a.db", 1)[1]
    assert "\x1b" not in out
    assert "\u202e" not in out
