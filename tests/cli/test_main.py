"""The command line as a whole: help, version, exit statuses, one line per error."""

import subprocess
import sys

import pytest

from guardrail import __version__
from guardrail.cli import COMMANDS, main

THERE = ("ask", "eval", "policy")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in THERE:
        assert name in out
        assert COMMANDS[name] in out


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"guardrail {__version__}\n"


@pytest.mark.parametrize("name", THERE)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"guardrail {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["aks"],
        ["--verbose"],
        ["ask", "--colour"],
        ["ask", "one", "two"],
        ["ask", "x", "--max-tokens", "many"],
        ["eval"],
        ["eval", "scenes", "--limit", "x"],
    ],
)
def test_bad_use_is_one_line_and_status_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("guardrail: error: ")


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: guardrail")
    assert "\n  " in captured.err


def test_messages_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "x", "--mode", "\x1b[31moff"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_help_needs_no_model_libraries() -> None:
    code = (
        "import sys\n"
        "from guardrail.cli import main\n"
        "assert main(['ask', '--help']) == 0\n"
        "assert main(['eval', '--help']) == 0\n"
        "loaded = {'torch', 'transformers', 'langchain_core'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
