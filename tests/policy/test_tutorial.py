"""Every command of `policies/README.md` runs as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrail.cli import main

README = Path(__file__).parents[2] / "policies" / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> Iterator[str]:
    """Yields each command, here-documents included; lines of output are left out."""
    for block in blocks("console"):
        lines = iter(block.splitlines())
        for line in lines:
            if not line.startswith("$ "):
                continue
            command = [line[2:]]
            if "<<'END'" in line:
                for more in lines:
                    command.append(more)
                    if more == "END":
                        break
            yield "\n".join(command)


def test_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for command in commands():
        if not command.startswith("guardrail "):
            subprocess.run(["bash", "-ec", command], check=True)
            continue
        expected = 2 if "# exits with 2" in command else 0
        assert main(shlex.split(command, comments=True)[1:]) == expected, command
        ran += 1
    assert ran >= 12
    out, err = capsys.readouterr()
    assert "rule categories.child-at-risk.on_unsafe at acme.yaml:9:16" in out
    assert "child-at-risk: p in [0.4, 0.48): comply -> block" in out
    assert "acme.cases.yaml: 5 passed" in out
    shown = re.search(r"guardrail: error: (oops\.yaml:.*) …", README.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[1] in err
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, namespace)
    assert namespace["policy"].name == "kids"  # type: ignore[attr-defined]


def test_the_tutorial_lists_every_shipped_policy() -> None:
    text = README.read_text(encoding="utf-8")
    for path in README.parent.glob("*.yaml"):
        if not path.name.endswith(".cases.yaml"):
            assert f"`{path.name}`" in text
