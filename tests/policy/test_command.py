"""`guardrail policy` as a program or a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from guardrail.cli import main
from guardrail.policy import load_policy
from guardrail.policy.packs import names


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["policy", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_list_names_every_policy(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "list")
    assert [entry["name"] for entry in found] == names()
    assert {entry["kind"] for entry in found} == {"policy", "vocabulary"}
    assert all(entry["description"] for entry in found)
    assert "baseline" in run(capsys, "list")[1]


def test_show_resolved_is_a_policy_file_with_places(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = run(capsys, "show", "--resolved", "kids")
    assert status == 0
    assert "# guardrail.policies/strict.yaml:15:53" in out
    path = tmp_path / "again.yaml"
    path.write_text(out, encoding="utf-8")
    assert load_policy(path).digest == load_policy("kids").digest
    found = as_json(capsys, "show", "--resolved", "kids")
    places = {entry["path"]: entry["from"] for entry in found["values"]}
    assert places["categories.child-at-risk.on_unsafe"] == "guardrail.policies/strict.yaml:15:53"
    assert places["judge.model"] == "default"
    assert found["digest"] == load_policy("kids").digest


def test_show_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "medical")
    assert status == 0
    assert "self-harm" in out
    assert len(out.splitlines()) < 25


def test_check_prints_the_digest(capsys: pytest.CaptureFixture[str]) -> None:
    digest = load_policy("baseline").digest
    assert digest in run(capsys, "check", "baseline")[1]
    assert as_json(capsys, "check", "baseline")["policies"][0]["digest"] == digest


def test_check_strict_fails_on_warnings_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: p\nextends: baseline\nrefusals: {en: {add_phrases: [I]}}\n",
        encoding="utf-8",
    )
    assert run(capsys, "check", str(path))[0] == 0
    status, out, _ = run(capsys, "check", "--strict", str(path))
    assert status == 1
    assert "p.yaml:4:31: warning: the phrase 'I' begins innocent answers" in out
    assert run(capsys, "check", "--strict", "permissive")[0] == 0


def test_check_reads_a_tokenizer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {letter: index for index, letter in enumerate(map(chr, range(32, 127)))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: p\nextends: baseline\nrefusals: {en: {phrases: [Certain, 아니]}}\n",
        encoding="utf-8",
    )
    found = as_json(capsys, "check", str(path), "--tokenizer", str(tmp_path))
    assert [f["check"] for f in found["findings"]] == ["phrase-collides", "phrase-unspeakable"]
    assert run(capsys, "check", str(path), "--tokenizer", str(path))[0] == 2


def test_explain_names_the_rule_and_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "explain", "kids", "-p", "child-at-risk=0.3")
    assert (found["action"], found["rule"]) == ("block", "categories.child-at-risk.on_unsafe")
    assert found["rule_at"] == "guardrail.policies/strict.yaml:15:53"
    category = next(c for c in found["categories"] if c["id"] == "child-at-risk")
    assert category["unsafe_at_from"] == "guardrail.policies/kids.yaml:12:36"
    assert "grown-up" in found["message"]
    out = run(capsys, "explain", "baseline", "-p", "medical=nan")[1]
    assert out.startswith("block: medical is unavailable: nan is not a probability")
    assert as_json(capsys, "explain", "baseline", "--rest", "0.5")["action"] == "refuse"
    assert as_json(capsys, "explain", "baseline", "--rest", "0.4")["action"] == "comply"
    assert as_json(capsys, "explain", "baseline", "--error", "x")["label"] == "unavailable"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "baseline", "-p", "medicl=0.5"], "did you mean medical"),
        (["explain", "baseline", "-p", "medical"], "accepted is such as medical=0.7"),
        (["explain", "baseline", "-p", "medical=much"], "accepted is a number"),
        (["explain", "baseline", "-p", "medical=1", "-p", "medical=0"], "given twice"),
        (["explain", "baseline", "-p", "medical=1", "--error", "late"], "exclude each other"),
        (["explain", "baseline", "--rest", "x"], "--rest"),
        (["explain", "baseline", "--when", "tenant"], "such as tenant=acme"),
        (["check"], "Missing argument"),
        (["check", "baseline", "--strikt"], "--strikt"),
        (["schema", "--selection", "--cases"], "exclude each other"),
        (["nonsense"], "nonsense"),
        ([], "Missing command"),
        (["check", "refusals/en"], "categories"),
        (["test", "nonsense"], "nonsense"),
    ],
)
def test_bad_use_gives_one_line_and_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("guardrail: error: ")
    assert words in err


def test_diff_fails_only_when_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "diff", "baseline", "strict")[0] == 0
    assert run(capsys, "diff", "--exit-code", "baseline", "strict")[0] == 1
    assert run(capsys, "diff", "--exit-code", "baseline", "shadow")[0] == 0
    found = as_json(capsys, "diff", "baseline", "shadow")
    assert found["decisions"] == []
    assert {"path": "mode", "old": "enforce", "new": "shadow"} in found["settings"]


def test_test_fails_on_a_failed_case_and_on_low_coverage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, "test", "baseline", "--min-coverage", "100")[0] == 0
    path = tmp_path / "a.cases.yaml"
    path.write_text("policy: baseline\ncases: [{name: a, error: x, expect: block}]\n")
    assert run(capsys, "test", str(path))[0] == 0
    status, out, _ = run(capsys, "test", str(path), "--min-coverage", "50")
    assert status == 1
    assert "below the 50% asked for" in out
    path.write_text("policy: baseline\ncases: [{name: a, error: x, expect: plain}]\n")
    status, out, _ = run(capsys, "test", str(path), "--json")
    assert status == 1
    assert json.loads(out)["cases"][0]["failures"] == ["action is block, expected plain"]


def test_cases_of_which_none_was_run_do_not_pass(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.cases.yaml"
    picture = "{name: a, picture: k.png, question: 'How?', expect: refuse}"
    path.write_text(f"policy: baseline\ncases: [{picture}]\n")
    status, out, _ = run(capsys, "test", str(path))
    assert status == 1
    assert "a.cases.yaml: 1 skipped; no case was run" in out
    path.write_text(f"policy: baseline\ncases: [{picture}, {{name: b, error: x, expect: block}}]\n")
    status, out, _ = run(capsys, "test", str(path))
    assert status == 0
    assert "a.cases.yaml: 1 passed, 1 skipped\n" in out


def test_the_schema_accepts_the_shipped_files_and_refuses_misspelt_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(__file__).parents[2] / "policies"
    policy, cases, selection = (
        json.loads(run(capsys, "schema", *flag)[1]) for flag in ([], ["--cases"], ["--selection"])
    )
    for schema in (policy, cases, selection):
        jsonschema.Draft202012Validator.check_schema(schema)
    for path in [*folder.glob("*.yaml"), *folder.glob("refusals/*.yaml")]:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not path.name.endswith(".cases.yaml"):
            jsonschema.validate(content, policy)
    good = {"version": 1, "name": "a", "extends": ["baseline"], "categories": [{"id": "medical"}]}
    jsonschema.validate(good, policy)
    for bad in ({"mod": "off"}, {"verdict": {"unsafe_at": 2}}, {"contrast": {"boost": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **bad}, policy)
    jsonschema.validate({"cases": [{"name": "a", "error": "x", "expect": "block"}]}, cases)
    when = {"tenant": "a", "language": ["de"], "labels": {"x": "y"}}
    rules = [{"when": when, "policy": "kids"}, {"policy": "baseline"}]
    jsonschema.validate({"version": 1, "name": "a", "select": rules}, selection)


def test_the_command_loads_no_heavy_library() -> None:
    heavy = ("torch", "transformers", "langchain", "langchain_core", "numpy", "PIL", "rich")
    code = (
        "import sys\nfrom guardrail.cli import main\nmain(['policy', 'check', 'baseline'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
