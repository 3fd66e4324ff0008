"""From a wheel in an empty environment: the README's commands, and what stands on every page.

The wheel is the one that `GUARDRAIL_WHEEL` names, or is built of the clone as it is. There is one
environment, made by pip, with the extras that the pages name. Nothing of the clone is on its path.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.session import PICTURES, ROOT, run_page
from tests.docs.snippets import named, pages
from tests.release.distribution import BESIDES, INSTALLED

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1800)]

README = "README.md"
CLIENTS = ("openai",)
"""What a page has installed beside."""

NEEDS_MORE = {"ray", "inspect", "train"}
"""Extras of blocks that no test runs: a Redis, a task of the reader's own, hours."""


def extras() -> str:
    """Those that the pages name."""
    said = "".join(path.read_text("utf-8") for path in pages(ROOT))
    found = re.findall(r"pip install ['\"]?safecode-guardrail\[([\w,]+)\]", said)
    return ",".join(sorted({each for group in found for each in group.split(",")} - NEEDS_MORE))


def call(*command: str | Path, cwd: Path) -> str:
    """What a command prints that has nothing of the environment of the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=cwd, env=kept, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("GUARDRAIL_WHEEL"):
        return Path(given).resolve(strict=True)
    clone = tmp_path_factory.mktemp("clone")  # so that building leaves nothing in this one
    caches = shutil.ignore_patterns("__pycache__")
    for each in (*INSTALLED, "examples"):
        shutil.copytree(ROOT / each, clone / each, ignore=caches)
    for each in BESIDES:
        shutil.copyfile(ROOT / each, clone / each)
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ".", cwd=clone)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of an environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    made = folder / "venv" / "bin" / "python"
    wanted = (f"{wheel}[{extras()}]", *CLIENTS)
    call(made, "-m", "pip", "install", "-q", *wanted, cwd=folder)
    return made


def test_guardrail_is_the_one_of_the_wheel(python: Path, tmp_path: Path) -> None:
    names = ["guardrail", *(f"guardrail.{each}" for each in ("adapters", "policies", "examples"))]
    said = call(
        python,
        "-c",
        "import importlib.util as util, sys\n"
        "for name in sys.argv[1:]: print(util.find_spec(name).origin)\n"
        "print(util.find_spec('pytest'))",
        *names,
        cwd=tmp_path,
    )
    *origins, tests = said.splitlines()
    inside = str(python.parents[1] / "lib") + os.sep
    assert [each for each in origins if not each.startswith(inside)] == []
    assert [each for each in origins if "site-packages" not in each] == []
    assert tests == "None", "the environment has more than a user's"


@pytest.mark.parametrize("page", named(ROOT, "fast", "wheel"))
def test_the_page_does_what_it_says(page: str, python: Path, tmp_path: Path) -> None:
    holds = ROOT / "examples" if page == README else PICTURES  # who reads it has a clone
    run_page(page, tmp_path / "page", "fast", "wheel", python=python, holds=holds)


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("page", named(ROOT, "slow"))
def test_the_whole_page_does_what_it_says(page: str, python: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path / "page", "fast", "slow", python=python)
