"""The walk through writing a policy does what it says, and shows what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .walk import BLOCK, PAGE, ROOT, Walk, folder

TEXT = PAGE.read_text("utf-8")
COMMANDS = ("check", "show", "explain", "diff", "test")


def test_every_output_is_what_the_commands_print() -> None:
    walk = Walk(models=False)
    with folder():
        written = walk.walked(TEXT)
    assert walk.unlike == ()
    assert walk.ran > 12
    assert written == TEXT, "python -m tests.policy.walk"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_output_of_a_model_is_what_it_says(tmp_path: Path) -> None:
    """In a process of its own: commands that load a model silence what libraries log."""
    walked = tmp_path / "policy.md"
    done = subprocess.run(
        [sys.executable, "-m", "tests.policy.walk", "--models", str(walked)],
        cwd=ROOT,
        env={**os.environ, "GUARDRAIL_AUDIT_KEY": "ab" * 32},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert walked.read_text("utf-8") == TEXT, "python -m tests.policy.walk --models"


@pytest.mark.parametrize("command", COMMANDS)
def test_it_shows_each_command_of_a_policy(command: str) -> None:
    ran = "".join(found[4] for found in BLOCK.finditer(TEXT) if found[2] == "sh")
    assert re.search(rf"^(! )?guardrail policy {command} ", ran, re.MULTILINE)


def test_an_output_that_is_not_as_it_is_would_be_found() -> None:
    text = "```sh\nguardrail policy check baseline\n```\n\n```text\nokay\n```\n"
    walk = Walk(models=False)
    assert "policy baseline, digest" in walk.walked(text)
    walk.walked("```sh\nguardrail policy check nonsense\n```\n")
    assert walk.unlike == ("guardrail policy check nonsense: exit 2",)
