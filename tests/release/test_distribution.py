"""A wheel and an sdist hold what they should, and the check of that finds what they should not."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.release.distribution import ROOT, faults, in_wheel, shipped, wheel_faults


def test_what_is_shipped_is_the_library_and_not_what_made_it() -> None:
    held = {in_wheel(each) for each in shipped()}
    assert {
        "guardrail/py.typed",
        "guardrail/adapters/idefics.py",
        "guardrail/policies/baseline.yaml",
        "guardrail/policies/refusals/en.yaml",
        "guardrail/embedded/NOTICE",
        "guardrail/embedded/checkpoint/model.safetensors",
        "guardrail/examples/pictures/cliff-edge.png",
    } <= held
    assert not [each for each in held if "training" in each or "tests" in each]


@pytest.mark.slow
def test_what_is_built_holds_that_and_nothing_else(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    clone = tmp_path / "clone"
    for name in tracked.stdout.splitlines():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, clone / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), "."]
    subprocess.run(build, cwd=clone, check=True)
    [wheel] = tmp_path.glob("*.whl")
    assert list(wheel_faults(wheel)) == []
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("guardrail/tests/test_x.py", "")
    assert faults(tmp_path) == [
        f"{wheel.name}: guardrail/tests/test_x.py does not belong there",
        f"0 files *.tar.gz in {tmp_path}, expected one",
    ]
