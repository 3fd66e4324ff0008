"""Runs what stands on a page as its reader would: in one folder, from top to bottom.

Blocks of shell are a process each; what one starts in the background lives until the page ends. All
blocks of Python share one process, and its names.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO

from guardrail.cli import main
from tests.commands import THIS, path_of_commands
from tests.docs.snippets import Snippet, When, snippets

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "examples" / "pictures"

# Reads a block per line, runs it, and says in a line of its own that it is through.
_PYTHON = """
import json, os, sys
answers = os.fdopen(int(sys.argv[1]), "w")
names = {"__name__": "__main__"}
for line in sys.stdin:
    name, text = json.loads(line)
    exec(compile(text, name, "exec"), names)
    print("through", file=answers, flush=True)
"""


class SnippetFailure(AssertionError):
    """A block did not do what its reader expects."""


def run_page(
    page: str, folder: Path, *times: When, python: Path = THIS, holds: Path = PICTURES
) -> None:
    """Runs a page's blocks of these times, as a `Session` does."""
    with Session(page, folder, python=python, holds=holds) as session:
        for each in snippets((ROOT / page).read_text("utf-8")):
            if each.when in times:
                session.run(each)


class Session:
    """A folder with pictures in it, in which the blocks of one page run.

    Args:
        page: The page's name, for messages.
        folder: Is made, and holds the pictures and what the blocks write; beside it lies what they
            print.
        python: That of the environment in which they run.
        holds: The folder that is there from the beginning.
    """

    def __init__(
        self, page: str, folder: Path, *, python: Path = THIS, holds: Path = PICTURES
    ) -> None:
        self._page = page
        self._folder = folder
        self._executable = python
        self._groups: list[int] = []
        self._python: subprocess.Popen[str] | None = None
        self._answers: IO[str] | None = None
        self._out = {each: folder.parent / f"{folder.name}.{each}" for each in ("sh", "python")}
        folder.mkdir()
        shutil.copytree(holds, folder / holds.name)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, snippet: Snippet) -> None:
        """Writes the block if it is a file, checks it if it is a policy, runs it if it is code."""
        if snippet.file is not None:
            path = self._folder / snippet.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(snippet.text, "utf-8")
            if snippet.is_policy:
                self._expect(self._checks(path), snippet, "is no valid policy")
        if snippet.language == "sh":
            self._shell(snippet)
        elif snippet.language == "python":
            self._interpret(snippet)

    def _checks(self, policy: Path) -> bool:
        if self._executable == THIS:  # in this process, which has loaded it already
            return main(["policy", "check", str(policy)]) == 0
        return self._call(["guardrail", "policy", "check", str(policy)]) == 0

    def _close(self) -> None:
        """Ends what the page's blocks have left running."""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self._python is not None:
            assert self._python.stdin is not None
            self._python.stdin.close()
            self._python.wait()
        if self._answers is not None:
            self._answers.close()

    def _shell(self, snippet: Snippet) -> None:
        text = snippet.installed if snippet.when == "wheel" else snippet.text
        code = self._call(["sh", "-eu", "-c", text])
        self._expect(code == 0, snippet, f"exits with {code}")

    def _call(self, command: list[str]) -> int:
        # A file, since what stays in the background would hold a pipe open.
        with self._out["sh"].open("w", encoding="utf-8") as out:
            return self._begun(command, out, stdin=subprocess.DEVNULL).wait()

    def _interpret(self, snippet: Snippet) -> None:
        if self._python is None:
            self._start()
        assert self._python is not None
        assert self._python.stdin is not None
        assert self._answers is not None
        name = f"{self._page}:{snippet.line}"
        self._python.stdin.write(json.dumps([name, snippet.text]) + "\n")
        self._python.stdin.flush()
        through = self._answers.readline() == "through\n"
        self._expect(through, snippet, "raises, or ends the process")

    def _start(self) -> None:
        read, write = os.pipe()
        with self._out["python"].open("w", encoding="utf-8") as out:
            command = [str(self._executable), "-u", "-c", _PYTHON, str(write)]
            self._python = self._begun(command, out, stdin=subprocess.PIPE, pass_fds=(write,))
        os.close(write)
        self._answers = os.fdopen(read)

    def _begun(
        self, command: list[str], out: IO[str], *, stdin: int, pass_fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[str]:
        """A process of its own group, which ends with the page at the latest."""
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment(),
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            text=True,
        )
        self._groups.append(process.pid)
        return process

    def _environment(self) -> dict[str, str]:
        others = ("GUARDRAIL_", "OTEL_", "PYTHONPATH", "VIRTUAL_ENV")
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(others)},
            "PATH": path_of_commands(self._executable),
            "GUARDRAIL_CACHE": str(self._folder.parent / "cache"),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
        }

    def _expect(self, holds: bool, snippet: Snippet, what: str) -> None:
        if not holds:
            out = self._out["python" if snippet.language == "python" else "sh"]
            said = out.read_text("utf-8")[-4000:] if out.exists() else ""
            raise SnippetFailure(f"{self._page}:{snippet.line}: {what}\n{said}")
