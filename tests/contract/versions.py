"""Which transformers the contract suite passes on: measured, and written to `docs/versions.md`.

    python -m tests.contract.versions 5.20.2 5.24.0

makes a virtual environment in a temporary folder, installs the versions into it one by one, runs
the contract suite of this working tree on each, and writes the version's line of the page anew.
Other versions' lines stay. Without a version, the environment that is active is measured as it is.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "versions.md"
SUITE = ("tests/contract", "-m", "not slow and not gpu")
INTRODUCTION = """\
# Versions of transformers

What the contract suite says of each version: cached steps against full forwards, modes `off` and
`shadow` against `generate()`, batches against single rows, and the rest of `tests/contract`, over
every family that has a recipe (older versions lack a few). Lines are written by

<!-- run: no, installs six versions of transformers -->
```sh
python -m tests.contract.versions {versions}
```

in an environment of their own; none is written by hand. Warnings are errors in the suite, so that a
version may fail by a deprecation within transformers alone. The oldest version admitted is the one
that `pyproject.toml` names. One that is not listed is for `self_check.py`, in
`guardrail/backends/transformers`, to judge: it compares cached steps with a full forward.

"""
HEAD = "| transformers | torch | passed | skipped | failed | first failure | date |"
RULE = "|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Line:
    """One version's result. Counts are of tests; `failed` counts errors, too."""

    version: str
    torch: str
    passed: int
    skipped: int
    failed: int
    first_failure: str
    date: str

    def __str__(self) -> str:
        return "| " + " | ".join(str(each) for each in astuple(self)) + " |"

    @classmethod
    def parse(cls, text: str) -> Line:
        """Reads a line of the page."""
        version, torch, passed, skipped, failed, first, date = (
            cell.strip() for cell in text.strip().removeprefix("|").removesuffix("|").split("|")
        )
        return cls(version, torch, int(passed), int(skipped), int(failed), first, date)


def installed_and_measured(versions: Sequence[str]) -> Iterator[Line]:
    """Yields what the contract suite says on each version, in an environment of its own."""
    with tempfile.TemporaryDirectory(prefix="transformers-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-e", f"{ROOT}[test]"], check=True, cwd=folder)
        for version in versions:
            # By itself, so that a version that the project does not admit can be measured, too.
            subprocess.run([*install, f"transformers=={version}"], check=True, cwd=folder)
            yield measured(python)


def measured(python: str) -> Line:
    """Returns what the contract suite says on the transformers that `python` imports."""
    asked = "import importlib.metadata as m; print(m.version('transformers'), m.version('torch'))"
    found = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
    version, torch = found.stdout.split()
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [python, "-m", "pytest", *SUITE, "-p", "no:cacheprovider", f"--junitxml={report}"],
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        return read_report(report, version=version, torch=torch.partition("+")[0])


def read_report(report: Path, *, version: str, torch: str) -> Line:
    """Returns what a JUnit report says, dated today."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    skipped = [case for case in cases if case.find("skipped") is not None]
    broken = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    return Line(
        version,
        torch,
        len(cases) - len(skipped) - len(broken),
        len(skipped),
        len(broken),
        _told(broken[0]) if broken else "",
        datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    )


def write_page(page: Path, line: Line) -> None:
    """Puts `line` in its place on the page, newest version first."""
    lines = {line.version: line}
    if page.exists():
        rows = page.read_text(encoding="utf-8").splitlines()
        old = (Line.parse(row) for row in rows if re.match(r"\| \d", row))
        lines = {**{each.version: each for each in old}, **lines}
    versions = sorted(lines, key=lambda each: [int(n) for n in re.findall(r"\d+", each)])
    table = [HEAD, RULE, *(str(lines[version]) for version in reversed(versions))]
    introduction = INTRODUCTION.format(versions=" ".join(versions))
    page.parent.mkdir(exist_ok=True)
    page.write_text(introduction + "\n".join(table) + "\n", encoding="utf-8")


def _told(case: ElementTree.Element) -> str:
    found = case.find("failure")
    found = case.find("error") if found is None else found
    assert found is not None
    lines = [line[1:].strip() for line in (found.text or "").splitlines() if line.startswith("E ")]
    reason = (lines or [str(found.get("message"))])[0].replace("|", "/")
    reason = reason if len(reason) <= 120 else f"{reason[:117]}..."
    return f"`{case.get('name')}`: {reason}"


def main(versions: Sequence[str]) -> None:
    """Measures the versions one after another; the page is written after each."""
    lines = installed_and_measured(versions) if versions else [measured(sys.executable)]
    for line in lines:
        write_page(PAGE, line)
        print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="as PyPI names it")
    main(parser.parse_args().versions)
