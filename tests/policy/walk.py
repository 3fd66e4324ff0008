"""The walk through writing a policy: `python -m tests.policy.walk` writes its outputs anew.

With `--models` also those of commands that run a model; with a file's name, there.

The page's files are written, its `guardrail` commands run in this process, in order, and what they
print takes the place of the `text` block that follows them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from guardrail.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policy.md"

BLOCK = re.compile(
    r"(^<!-- run: [^\n]* -->\n)?^```(\w+)( [^\n]*)?\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
HERE = re.compile(r"^cat > (\S+) <<'END'\n(.*?)^END\n", re.DOTALL | re.MULTILINE)
MODELS = ("guardrail ask", "--model")
"""What a command has in it that runs a model."""


@dataclass
class Walk:
    """One pass over the page, in the working directory.

    Attributes:
        models: Whether commands that run a model are run, too; else their outputs stay.
        ran: How many commands were run.
        unlike: Commands that exited otherwise than the page says.
    """

    models: bool
    ran: int = 0
    unlike: tuple[str, ...] = ()
    _output: str | None = None

    def walked(self, text: str) -> str:
        """Returns the page with its outputs as they are now."""
        return BLOCK.sub(self._block, text)

    def _block(self, found: re.Match[str]) -> str:
        mark, language, title, body = found.groups()
        shown, self._output = self._output, None
        named = re.fullmatch(r' title="(.+)"', title or "")
        if named:
            Path(named[1]).write_text(body, "utf-8")
        elif language == "sh" and (self.models or not any(each in body for each in MODELS)):
            self._output = "".join(map(self._run, commands(body)))
        elif language == "text" and shown is not None:
            return f"{mark or ''}```text\n{shown}```"
        return found[0]

    def _run(self, command: str) -> str:
        fails = command.startswith("! ")
        settings, words = [], shlex.split(command.removeprefix("! "))
        while "=" in words[0]:
            settings.append(words.pop(0).partition("=")[::2])
        told = io.StringIO()
        before = dict(os.environ)
        os.environ.update(settings)
        try:
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                status = main(words[1:])
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.ran += 1
        if (status != 0) != fails:
            self.unlike += (f"{command}: exit {status}",)
        return told.getvalue()


def commands(body: str) -> Iterator[str]:
    """Yields the `guardrail` commands of a block; files that it holds are written."""
    for name, content in HERE.findall(body):
        Path(name).write_text(content, "utf-8")
    yield from filter(None, HERE.sub("", body).splitlines())


@contextlib.contextmanager
def folder() -> Iterator[None]:
    """A temporary folder with the example pictures, as the working directory."""
    with TemporaryDirectory() as name, contextlib.chdir(name):
        shutil.copytree(ROOT / "examples" / "pictures", "pictures")
        yield


if __name__ == "__main__":
    to = Path(sys.argv[-1]).absolute() if sys.argv[-1].endswith(".md") else PAGE
    with folder():
        walk = Walk(models="--models" in sys.argv)
        written = walk.walked(PAGE.read_text("utf-8"))
    to.write_text(written, "utf-8")
    print(*walk.unlike, sep="\n", end="")
