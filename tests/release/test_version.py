"""The version stands in pyproject.toml, and everything else reads it there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import guardrail
from guardrail.cli import main
from tests.release.distribution import ROOT, project

VERSION = str(project()["version"])


def sources() -> Iterator[Path]:
    for folder in ("guardrail", "adapters", "policies"):
        yield from (ROOT / folder).rglob("*.py")


def test_package_and_command_say_the_version_of_pyproject(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert guardrail.__version__ == VERSION
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"guardrail {VERSION}\n"


def test_no_source_says_a_version_of_its_own() -> None:
    said = re.compile(r"__version__\s*=\s*[\"']")
    assert [path for path in sources() if said.search(path.read_text("utf-8"))] == []


def test_the_command_has_the_name_on_pypi_too(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name(str(project()["name"]))
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"guardrail {VERSION}\n")
