"""The workflows are pinned, may do no more than they need, and run what there is."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.distribution import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
PINNED = re.compile(r"uses: (?:\./\S+|[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)(?: #.*)?$")
SIGNS = {("release.yml", "attest"), ("release.yml", "publish")}
WRITES = {("release.yml", "announce"): {"contents"}, ("release.yml", "attest"): {"attestations"}}


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.name, name, job)
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    ]


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_actions_are_pinned_by_commit_and_say_which_version(path: Path) -> None:
    uses = [line.strip() for line in path.read_text().splitlines() if "uses: " in line]
    assert uses
    assert [each for each in uses if not PINNED.search(each)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_nothing_is_allowed_but_by_a_job_and_no_secret_is_read(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    assert "secrets." not in path.read_text()


def test_only_who_signs_may_sign_and_only_who_announces_may_write() -> None:
    for file, name, job in jobs():
        allowed = job["permissions"]
        assert ("id-token" in allowed) == ((file, name) in SIGNS)
        writing = {key for key, may in allowed.items() if may == "write"} - {"id-token"}
        assert writing == WRITES.get((file, name), set())


def test_who_signs_or_publishes_runs_no_code_of_the_repository() -> None:
    for file, name, job in jobs():
        if (file, name) in SIGNS:
            steps = [each.get("uses", "") for each in job["steps"]]
            assert steps
            assert all(steps)
            assert not [each for each in steps if "checkout" in each]


def test_nothing_is_published_before_it_is_checked_and_attested() -> None:
    release = {name: set(job.get("needs", ())) for file, name, job in jobs() if "release" in file}
    assert release["attest"] == {"check", "build", "wheel"}
    assert release["publish"] == {"attest"}
    assert release["announce"] == {"publish"}


def test_every_python_and_both_systems_are_checked() -> None:
    [matrix] = [job["strategy"]["matrix"] for _, _, job in jobs() if "strategy" in job]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {each.split("-")[0] for each in matrix["system"]} == {"ubuntu", "macos"}


def test_what_workflows_run_is_there() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    asked = set(re.findall(r"\bmake (?:-s )?([a-z-]+)", text))
    assert {"check", "dist", "sbom", "audit"} <= asked <= targets
    modules = set(re.findall(r"python -m (tests\.[\w.]+)", text))
    assert modules
    assert [each for each in modules if find_spec(each) is None] == []


@pytest.mark.parametrize("path", FORMS, ids=named)
def test_a_form_asks_for_something_and_names_each_field_once(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form["name"]
    assert form["description"]
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields) > 0
    assert any(each.get("validations", {}).get("required") for each in fields)
    for each in fields:
        assert all(isinstance(option, str) for option in each["attributes"].get("options", ()))


def test_there_is_a_form_for_each_kind() -> None:
    assert {path.stem for path in FORMS} == {"bug", "false-refusal", "harmful-answer", "feature"}
